// Connections to targets, and the pool that keeps idle ones for one worker: newest first, closed
// the moment the target closes or sends anything while they are idle. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "proxy/core/target_state.h"
#include "proxy/event_loop.h"
#include "proxy/settings.h"
#include "proxy/transport.h"

namespace remuda::proxy {

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
  std::string greeting;     // the first bytes it carries, of one client: it is not pooled then
  bool is_greeted = false;
  uint32_t requests = 0;

  // Idle only: neighbours in the target's list (newest first) and in the pool's (oldest first).
  UpstreamConnection* newer = nullptr;
  UpstreamConnection* older = nullptr;
  UpstreamConnection* pool_previous = nullptr;
  UpstreamConnection* pool_next = nullptr;
  SteadyTime idle_since{};
};

class UpstreamPool {
 public:
  UpstreamPool(EventLoop& loop, size_t worker, const Settings& settings)
      : loop_(loop), worker_(worker), settings_(settings) {}
  ~UpstreamPool();

  // The newest idle connection to `target` that shows no sign of closing, or null. With `look` it
  // asks the kernel for a close that no event has told of yet: one call more, for requests that
  // cannot be repeated once they are sent.
  UpstreamConnection* Acquire(TargetState& target, bool look);
  // Begins a new connection for `user`; null with errno set if it failed at once.
  UpstreamConnection* Connect(TargetState& target, UpstreamUser* user);
  // Keeps a connection whose exchange ended cleanly.
  void Release(UpstreamConnection* connection);
  void Close(UpstreamConnection* connection);

  void CloseIdle(TargetState& target);
  // Closes what has been idle for too long.
  void CloseExpired(SteadyTime now);
  void CloseAllIdle();
  size_t idle_count() const { return idle_count_; }

 private:
  void Unlink(UpstreamConnection* connection);

  EventLoop& loop_;
  const size_t worker_;
  const Settings& settings_;
  UpstreamConnection* oldest_ = nullptr;
  UpstreamConnection* newest_ = nullptr;
  size_t idle_count_ = 0;
  UpstreamConnection* free_ = nullptr;  // reused objects, linked by pool_next
};

}  // namespace remuda::proxy
