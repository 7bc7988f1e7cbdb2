// Connections to targets, and the pool that keeps idle ones for one worker: closed the moment the
// target closes or sends anything while they are idle. One thread.
//
// Answers of HTTP/1 have no number: what a target sends unasked while a request waits is taken for
// its answer, and its own answer for that of the next one. Only on an idle connection is it seen to
// be nobody's. So connections rest between two uses (Acquire), those of a target that was caught
// for longest.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/core/target_state.h"
#include "proxy/io/event_loop.h"
#include "proxy/io/settings.h"
#include "proxy/io/transport.h"
#include "proxy/target/target_stream.h"

namespace remuda::proxy {

namespace tls {
class ClientContext;
}

class UpstreamPool;

// One that has just been used is the likeliest to meet what its target still sends behind its
// answer, after the look: if the newest has not rested so long, the one that has rested longest is
// used.
inline constexpr std::chrono::milliseconds kRestTime{2};
// Nor is one used more often in a row than this, however long it rests between: its target may be
// an answer behind, which only comes to light while another connection is used.
inline constexpr uint8_t kMaxReusesInARow = 4;
// A target that has sent what nobody asked for is not trusted for so long after the last time.
inline constexpr std::chrono::minutes kDistrustTime{10};
// So many connections of such a target rest in a worker's pool before one of them is used again:
// below Settings::pool_max_idle_a_target, so that those of its busy moments are kept too.
// But of few descriptors they get no more than this part.
inline constexpr uint32_t kMinRestingConnections = 128;
inline constexpr uint32_t kRestingPart = 4;

// With HTTP/1 it carries one request at a time, so it is that request's stream too
// (http1_target.cc).
struct UpstreamConnection final : IoHandler, TargetStream {
  void OnIo(uint32_t events) override;

  int FinishConnect() override;
  bool has_tls_failed() const override { return is_tls_failed; }
  bool SendHead(const http::RequestHead& head, const http::Framing& framing,
                const http::ForwardedInfo& info, Buffer& room, Gather& out) override;
  ssize_t Send(Gather& pieces) override { return pieces.Send(transport); }
  void StopSending() override { has_ended = is_readable = true; }
  Received Receive(char* data, size_t size) override;
  bool may_splice() const override { return transport.is_plain(); }
  ssize_t FillPipe(SplicePipe& pipe, size_t max_bytes) override;
  ssize_t DrainPipe(SplicePipe& pipe) override { return pipe.Drain(transport.fd()); }
  void EndSplice() override;
  bool Yield() override;
  bool is_closing() const override { return has_ended; }
  void Doubt(bool is_sending) override;
  void NoteUnasked(std::string_view bytes) override;
  void End(bool may_reuse) override;
  UpstreamConnection* TakeConnection() override { return this; }

  UpstreamPool* pool = nullptr;
  TargetState* target = nullptr;  // alive while a table that holds it is adopted or pinned
  UpstreamUser* user = nullptr;   // null while idle
  Transport transport;
  bool is_connected = false;
  bool is_writable = false;
  bool has_ended = false;   // FIN, reset or error seen
  bool is_broken = false;   // an error
  bool is_doubted = false;  // see DoubtPeer: for nobody else
  bool is_urgent = false;   // urgent bytes (TCP) have come
  uint8_t reuses_in_a_row = 0;
  std::string greeting;  // the first bytes it carries, of one client: it is not pooled then
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

class UpstreamPool final : public TargetStreams {
 public:
  // `client_count`: the worker's connections of clients, now.
  UpstreamPool(EventLoop& loop, size_t worker, const Settings& settings, const size_t& client_count)
      : loop_(loop), worker_(worker), settings_(settings), client_count_(client_count) {}
  ~UpstreamPool();

  // One that is idle if it may be reused and there is one, else a new one.
  Opened Open(const Wanted& wanted) override;

  // `host` is the request's: what targets that speak TLS are asked for if their group says no name.

  // An idle connection to `target` on which nothing has come, or null: another one is to be made.
  // It asks the kernel, whatever the request: an event of bytes or of a close may still wait behind
  // the one that is being dealt with, and such bytes would be taken for the answer.
  UpstreamConnection* Acquire(TargetState& target, std::string_view host);
  // Begins a new connection for `user`; null with errno set if it failed at once.
  UpstreamConnection* Connect(TargetState& target, UpstreamUser* user, std::string_view host = {});
  // Keeps a connection whose exchange ended cleanly.
  void Release(UpstreamConnection* connection);
  void Close(UpstreamConnection* connection);
  // What it is ready for now has an event again.
  void Rearm(UpstreamConnection& connection) {
    loop_.Rebind(connection.transport.fd(), &connection, &connection);
  }
  // `target` has sent something that no request asked for, which begins with `bytes`.
  void NoteUnasked(TargetState& target, std::string_view bytes);

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
  bool MustRest(const UpstreamConnection& connection, const TargetSlot& slot) const;
  bool StaysIdle(UpstreamConnection& connection);
  bool IsQuiet(UpstreamConnection& connection);

  // upstream_tls.cc
  const std::shared_ptr<const tls::ClientContext>& ContextOf(const TargetState& target) const;
  // kOutdated: it was made as its group no longer wants it.
  enum class Fit : uint8_t { kGood, kForAnotherName, kOutdated };
  Fit FitOf(const UpstreamConnection& connection, std::string_view host) const;
  bool BeginTls(UpstreamConnection& connection, std::string_view host);
  void SaveTlsSession(UpstreamConnection& connection);
  void NoteTlsFailure(UpstreamConnection& connection);

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
