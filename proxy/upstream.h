// Connections to targets, and the pool that keeps idle ones for one worker: newest first as long as
// they have rested, closed the moment the target closes or sends anything while they are idle. One
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/core/target_state.h"
#include "proxy/event_loop.h"
#include "proxy/settings.h"
#include "proxy/transport.h"

namespace remuda::proxy {

namespace tls {
class ClientContext;
}

class UpstreamPool;

// Who has a connection to a target in use.
class UpstreamUser {
 public:
  // Something can be done with it.
  virtual void OnUpstream() = 0;

 protected:
  ~UpstreamUser() = default;
};

struct UpstreamConnection final : IoHandler {
  void OnIo(uint32_t events) override;
  // 0 once it can carry bytes; -EAGAIN: ask again at its next event; else -errno.
  int FinishConnect();

  UpstreamPool* pool = nullptr;
  TargetState* target = nullptr;  // alive while a table that holds it is adopted or pinned
  UpstreamUser* user = nullptr;   // null while idle
  Transport transport;
  bool is_connected = false;
  bool is_readable = false;
  bool is_writable = false;
  bool is_closing = false;  // FIN, reset or error seen
  bool is_broken = false;   // an error
  bool is_doubted = false;  // see DoubtPeer: for nobody else
  bool is_urgent = false;   // urgent bytes (TCP) have come
  std::string greeting;     // the first bytes it carries, of one client: it is not pooled then
  bool is_greeted = false;
  bool is_tls_failed = false;
  std::shared_ptr<const tls::ClientContext> tls_context;  // null: plain
  std::string tls_name;                                   // asked for by SNI
  uint32_t requests = 0;

  // Idle only: neighbours in the target's list (newest first; the newest one's `newer` is the
  // oldest) and in the pool's (oldest first).
  UpstreamConnection* newer = nullptr;
  UpstreamConnection* older = nullptr;
  UpstreamConnection* pool_previous = nullptr;
  UpstreamConnection* pool_next = nullptr;
  SteadyTime idle_since{};
};

class UpstreamPool {
 public:
  // `client_count`: the worker's connections of clients, now.
  UpstreamPool(EventLoop& loop, size_t worker, const Settings& settings, const size_t& client_count)
      : loop_(loop), worker_(worker), settings_(settings), client_count_(client_count) {}
  ~UpstreamPool();

  // `host` is the request's: what targets that speak TLS are asked for if their group says no name.

  // An idle connection to `target` on which nothing has come, or null. It asks the kernel, whatever
  // the request: an event of bytes or of a close may still wait behind the one that is being dealt
  // with, and such bytes would be taken for the answer.
  UpstreamConnection* Acquire(TargetState& target, std::string_view host);
  // Begins a new connection for `user`; null with errno set if it failed at once.
  UpstreamConnection* Connect(TargetState& target, UpstreamUser* user, std::string_view host = {});
  // Keeps a connection whose exchange ended cleanly.
  void Release(UpstreamConnection* connection);
  void Close(UpstreamConnection* connection);

  void CloseIdle(TargetState& target);
  // Closes what has been idle for too long.
  void CloseExpired(SteadyTime now);
  void CloseAllIdle();
  // Closes those that have been idle for longest as long as connections have more descriptors than
  // are theirs (Settings::max_descriptors).
  void MakeRoom() {
    while (oldest_ != nullptr && client_count_ + open_count_ > settings_.max_descriptors)
      Close(oldest_);
  }
  size_t idle_count() const { return idle_count_; }

 private:
  friend struct UpstreamConnection;
  void Unlink(UpstreamConnection* connection);

  // upstream_tls.cc
  const std::shared_ptr<const tls::ClientContext>& ContextOf(const TargetState& target) const;
  // kOutdated: it was made as its group no longer wants it.
  enum class Fit : uint8_t { kGood, kForAnotherName, kOutdated };
  Fit FitOf(const UpstreamConnection& connection, std::string_view host) const;
  bool BeginTls(UpstreamConnection& connection, std::string_view host);
  void SaveTlsSession(UpstreamConnection& connection);
  void NoteTlsFailure(UpstreamConnection& connection);
  bool StaysIdle(UpstreamConnection& connection);
  bool IsQuiet(UpstreamConnection& connection);

  EventLoop& loop_;
  const size_t worker_;
  const Settings& settings_;
  UpstreamConnection* oldest_ = nullptr;
  UpstreamConnection* newest_ = nullptr;
  const size_t& client_count_;
  size_t open_count_ = 0;  // idle or not
  size_t idle_count_ = 0;
  UpstreamConnection* free_ = nullptr;  // reused objects, linked by pool_next
  SteadyTime next_tls_warning_{};
};

}  // namespace remuda::proxy
