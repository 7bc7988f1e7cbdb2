// Bytes both ways between a client's connection and a target's: what an upgraded connection and a
// TCP connection are. It runs by itself once started: gets the events of both sides, reads a side
// only when the other has taken what was read before, passes on the end of either side, and tells
// its owner when all is over. Long plain streams go through a pipe in the kernel (splice); whatever
// waits for nothing holds no memory and no pipe.
//
// Of a WebSocket it knows where frames end, so that both sides can be told that the proxy or the
// target goes away.
//
// Thread: its worker's.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "proxy/http/reason.h"
#include "proxy/http/websocket.h"
#include "proxy/io/buffer_pool.h"
#include "proxy/io/event_loop.h"
#include "proxy/io/splice_pipe.h"
#include "proxy/io/transport.h"
#include "proxy/target/upstream.h"

namespace remuda::proxy {

struct SubsetSlot;
class WorkerContext;

enum class TunnelEnd : uint8_t {
  kDone,          // both sides ended
  kClientFailed,  // the client's side was reset
  kTargetFailed,  // the target's side was reset
  kIdle,          // no byte for the idle timeout
};
// Under which reason the connection ends then.
http::Reason ReasonOf(TunnelEnd how);

class TunnelOwner {
 public:
  // All is over: both connections are to be closed now. The tunnel is on the stack: destroy it
  // later (EventLoop::Defer). Called from events, the timer and SayGoodbye.
  virtual void OnTunnelEnd(TunnelEnd how) = 0;

 protected:
  ~TunnelOwner() = default;
};

class Tunnel final : public IoHandler, public UpstreamUser {
 public:
  Tunnel(WorkerContext& worker, TunnelOwner& owner);
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;
  ~Tunnel();

  struct Options {
    BalancerSlot* traffic = nullptr;  // where its bytes are counted; outlives it
    SubsetSlot* subset = nullptr;     // the same of the target's side
    std::chrono::milliseconds idle_timeout;
    bool is_websocket = false;
  };
  // Before Start: bytes that were read from a side before the tunnel was, or that are to reach the
  // other side first. Takes `bytes`.
  void PreloadFromClient(Buffer& bytes) { ways_[kToTarget].buffer = std::exchange(bytes, {}); }
  void PreloadFromTarget(Buffer& bytes) { ways_[kToClient].buffer = std::exchange(bytes, {}); }

  // Takes over both sides' events: `client` was watched by `watched_by`. False if the client's
  // descriptor cannot be watched. Nothing is moved before the next event, which comes at once.
  bool Start(const Options& options, Transport& client, IoHandler* watched_by,
             UpstreamConnection& target);
  // No event comes here any more, and nothing is held. Right before both connections are closed.
  void Stop();

  // The target, the listener or the proxy goes away: a WebSocket's sides get a close frame (1001)
  // at the next end of a frame, and nothing after it; others are not told.
  void SayGoodbye();

  uint64_t bytes_to_target() const { return ways_[kToTarget].bytes; }
  uint64_t bytes_to_client() const { return ways_[kToClient].bytes; }

  void OnIo(uint32_t events) override;  // the client's
  void OnUpstream() override;           // the target's

 private:
  enum Side : uint8_t { kClient, kTarget };
  enum WayIndex : uint8_t { kToTarget, kToClient };
  enum class Farewell : uint8_t { kNone, kWanted, kSent };
  // What came of an attempt to move bytes.
  enum class Step : uint8_t { kBlocked, kMoved, kBroken };

  struct End {
    Transport* transport = nullptr;
    IoHandler* handler = nullptr;  // of the descriptor's events
    bool is_readable = false;
    bool is_writable = true;
    bool is_hung_up = false;  // an end or error is behind what can be read
    bool is_broken = false;   // an error was seen
    bool is_urgent =
        false;  // it has sent urgent bytes: a read ends before them though more is there
  };
  // From one side to the other.
  struct Way {
    Side from;
    Side to;
    Buffer buffer;  // leaves after what is in the pipe
    std::unique_ptr<SplicePipe> pipe;
    uint64_t taken = 0;  // from the source since Start
    uint64_t bytes = 0;  // taken from the client, or sent to it
    uint8_t full_reads = 0;
    bool has_ended = false;  // nothing comes from the source any more
    bool is_done = false;    // and all that came has left
    Farewell farewell = Farewell::kNone;
    http::WebSocketFrames frames;
  };

  void TakeTargetEvents();
  void Wake(Side side, uint32_t events);
  void Run();
  void Finish(TunnelEnd how);
  bool IsEmpty(const Way& way) const;
  void Release(Way& way);
  Step Pump(Way& way);
  Step Flush(Way& way);
  Step FillBuffer(Way& way);
  Step FillPipe(Way& way);
  bool WantsPipe(const Way& way) const;
  void Count(Way& way, size_t size);
  void TakeFrames(Way& way);
  void AppendFarewell(Way& way);
  bool EndWay(Way& way);
  Step Break(Way& way, Side side);

  WorkerContext& worker_;
  TunnelOwner& owner_;
  std::array<End, 2> ends_;
  std::array<Way, 2> ways_;
  std::chrono::milliseconds idle_timeout_{};
  UpstreamConnection* upstream_ = nullptr;
  BalancerSlot* traffic_ = nullptr;
  SubsetSlot* subset_ = nullptr;
  bool is_websocket_ = false;
  bool can_splice_ = false;
  bool is_running_ = false;
  TunnelEnd failure_ = TunnelEnd::kDone;
  Timer idle_timer_;
};

}  // namespace remuda::proxy
