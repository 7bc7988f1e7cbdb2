#include "proxy/client/tunnel.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "proxy/core/subset_state.h"
#include "proxy/exchange/worker_context.h"

namespace remuda::proxy {
namespace {

// Reads in a row that fill a block: then it is a stream, and goes through a pipe.
constexpr uint8_t kFullReadsOfAStream = 2;
// Of less than this splice is no cheaper than a copy.
constexpr size_t kMinPipedBytes = 32 * 1024;

}  // namespace

http::Reason ReasonOf(TunnelEnd how) {
  switch (how) {
    case TunnelEnd::kDone:
      break;
    case TunnelEnd::kClientFailed:
      return http::Reason::kClientClosed;
    case TunnelEnd::kTargetFailed:
      return http::Reason::kTargetClosed;
    case TunnelEnd::kIdle:
      return http::Reason::kTunnelIdleTimeout;
  }
  return http::Reason::kNone;
}

Tunnel::Tunnel(WorkerContext& worker, TunnelOwner& owner)
    : worker_(worker), owner_(owner), idle_timer_([this] { Finish(TunnelEnd::kIdle); }) {
  ways_[kToTarget].from = ways_[kToClient].to = kClient;
  ways_[kToClient].from = ways_[kToTarget].to = kTarget;
}

Tunnel::~Tunnel() { Stop(); }

bool Tunnel::Start(const Options& options, Transport& client, IoHandler* watched_by,
                   UpstreamConnection& target) {
  idle_timeout_ = options.idle_timeout;
  traffic_ = options.traffic;
  subset_ = options.subset;
  is_websocket_ = options.is_websocket;
  upstream_ = &target;
  upstream_->user = this;
  ends_[kClient].transport = &client;
  ends_[kClient].handler = this;
  ends_[kTarget].transport = &target.transport;
  ends_[kTarget].handler = &target;
  can_splice_ = client.is_plain() && target.transport.is_plain();
  for (Way& way : ways_) {
    if (is_websocket_ && way.buffer) way.frames.Follow(way.buffer.data(), way.buffer.size());
  }
  ways_[kToTarget].bytes = ways_[kToTarget].buffer.size();
  // What a layer holds has no event; from now on Receive tells when there is more.
  for (End& end : ends_) end.is_readable = end.transport->has_pending();
  TakeTargetEvents();
  is_running_ = true;
  worker_.counters().tunnels.Add(1);
  worker_.counters().active_tunnels.Add(1);
  idle_timer_.Arm(worker_.loop(), worker_.loop().now() + idle_timeout_);
  return worker_.loop().Rebind(client.fd(), watched_by, this);
}

void Tunnel::Stop() {
  if (is_running_) {
    is_running_ = false;
    worker_.counters().active_tunnels.Sub(1);
    worker_.loop().RemoveClosing(this);
    upstream_->user = nullptr;
  }
  idle_timer_.Cancel();
  for (Way& way : ways_) Release(way);
}

void Tunnel::Release(Way& way) {
  worker_.buffers().Give(way.buffer);
  worker_.pipes().Give(std::move(way.pipe));
}

bool Tunnel::IsEmpty(const Way& way) const {
  return way.buffer.begin == way.buffer.end && (way.pipe == nullptr || way.pipe->size() == 0);
}

void Tunnel::Finish(TunnelEnd how) {
  idle_timer_.Cancel();
  owner_.OnTunnelEnd(how);
}

void Tunnel::SayGoodbye() {
  if (!is_websocket_) return;
  for (Way& way : ways_) {
    if (way.farewell == Farewell::kNone) way.farewell = Farewell::kWanted;
  }
  Run();
}

void Tunnel::OnIo(uint32_t events) {
  Wake(kClient, events);
  Run();
}

void Tunnel::OnUpstream() {
  TakeTargetEvents();
  Run();
}

void Tunnel::TakeTargetEvents() {
  Wake(kTarget, (std::exchange(upstream_->is_readable, false) ? EPOLLIN : 0u) |
                    (std::exchange(upstream_->is_writable, false) ? EPOLLOUT : 0u) |
                    (upstream_->has_ended ? EPOLLRDHUP : 0u) |
                    (upstream_->is_broken ? EPOLLERR : 0u) |
                    (upstream_->is_urgent ? EPOLLPRI : 0u));
}

void Tunnel::Wake(Side side, uint32_t events) {
  End& end = ends_[side];
  if ((events & EPOLLOUT) != 0) end.is_writable = true;
  if ((events & EPOLLIN) != 0) end.is_readable = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
    end.is_hung_up = end.is_readable = end.is_writable = true;
  if ((events & EPOLLERR) != 0) end.is_broken = true;
  if ((events & EPOLLPRI) != 0) end.is_urgent = true;
}

void Tunnel::Run() {
  bool is_moved = false;
  bool go_on = true;
  while (go_on) {
    go_on = false;
    for (Way& way : ways_) {
      const Step step = Pump(way);
      is_moved |= step != Step::kBlocked;
      // A side that takes nothing any more may have sent something before.
      go_on |= step == Step::kBroken;
    }
  }
  const bool is_over = ways_[kToTarget].is_done && ways_[kToClient].is_done;
  if (is_over) return Finish(failure_);
  // Nothing is read from a side that has ended, so that nothing else would find this.
  for (const Way& way : ways_) {
    if (way.is_done && ends_[way.from].is_broken)
      return Finish(way.from == kClient ? TunnelEnd::kClientFailed : TunnelEnd::kTargetFailed);
  }
  if (is_moved) idle_timer_.Arm(worker_.loop(), worker_.loop().now() + idle_timeout_);
}

Tunnel::Step Tunnel::Pump(Way& way) {
  End& source = ends_[way.from];
  Step result = Step::kBlocked;
  uint64_t moved = 0;
  while (!way.is_done) {
    const Step flushed = Flush(way);
    if (flushed == Step::kBroken) return flushed;
    if (flushed == Step::kMoved) result = Step::kMoved;
    if (!IsEmpty(way)) return result;  // the other side is full
    if (way.has_ended) {
      if (!EndWay(way)) break;
      return Step::kMoved;
    }
    if (way.farewell == Farewell::kWanted && way.frames.at_boundary() && !way.frames.has_closed()) {
      AppendFarewell(way);
      continue;
    }
    if (!source.is_readable) break;
    if (moved >= kMaxBytesATurn) {
      worker_.loop().Rebind(source.transport->fd(), source.handler, source.handler);
      return Step::kMoved;
    }
    const uint64_t before = way.taken;
    const Step filled = WantsPipe(way) ? FillPipe(way) : FillBuffer(way);
    if (filled == Step::kBroken) return filled;
    if (filled == Step::kBlocked) break;
    moved += way.taken - before;
    result = Step::kMoved;
  }
  Release(way);
  return result;
}

// kBlocked: nothing was there to send, or nothing could be sent.
Tunnel::Step Tunnel::Flush(Way& way) {
  End& sink = ends_[way.to];
  Step result = Step::kBlocked;
  while (sink.is_writable && !IsEmpty(way)) {
    ssize_t sent;
    if (way.pipe != nullptr && way.pipe->size() > 0) {
      sent = way.pipe->Drain(sink.transport->fd());
    } else {
      const iovec piece{way.buffer.data(), way.buffer.size()};
      sent = sink.transport->Send(&piece, 1);
      if (sent > 0) way.buffer.begin += static_cast<size_t>(sent);
    }
    if (sent == -EAGAIN) {
      sink.is_writable = false;
      break;
    }
    if (sent <= 0) return Break(way, way.to);
    result = Step::kMoved;
    if (way.to == kClient) {
      way.bytes += static_cast<uint64_t>(sent);
      traffic_->sent_bytes.Add(static_cast<uint64_t>(sent));
    } else {
      subset_->bytes_in.Add(static_cast<uint64_t>(sent));
    }
  }
  return result;
}

// `side` is broken: nothing more goes this way. What comes from it may still be there to be read,
// also an error, which ends the other way.
Tunnel::Step Tunnel::Break(Way& way, Side side) {
  if (failure_ == TunnelEnd::kDone)
    failure_ = side == kClient ? TunnelEnd::kClientFailed : TunnelEnd::kTargetFailed;
  way.is_done = true;
  Release(way);
  if (side == way.from) {
    // What is on its way to it is lost too.
    Way& back = ways_[way.from == kClient ? kToClient : kToTarget];
    back.is_done = true;
    Release(back);
  } else {
    ends_[side].is_readable = ends_[side].is_hung_up = true;
  }
  return Step::kBroken;
}

bool Tunnel::WantsPipe(const Way& way) const {
  return can_splice_ && way.full_reads >= kFullReadsOfAStream && way.farewell == Farewell::kNone &&
         (!is_websocket_ || way.frames.payload_left() >= kMinPipedBytes);
}

void Tunnel::Count(Way& way, size_t size) {
  way.taken += size;
  if (way.from != kClient) return subset_->bytes_out.Add(size);
  way.bytes += size;
  traffic_->received_bytes.Add(size);
}

Tunnel::Step Tunnel::FillBuffer(Way& way) {
  End& source = ends_[way.from];
  if (!way.buffer) way.buffer = worker_.buffers().Take();
  way.buffer.begin = way.buffer.end = 0;
  const size_t room = way.buffer.capacity - http::kMaxCloseFrameBytes;
  const Received got = source.transport->Receive(way.buffer.room(), room);
  if (got.bytes == -EAGAIN) {
    source.is_readable = false;
    return Step::kBlocked;
  }
  if (got.bytes < 0) return Break(way, way.from);
  if (got.bytes == 0) {
    way.has_ended = true;
    return Step::kMoved;
  }
  if (got.is_drained && !source.is_hung_up && !source.is_urgent) source.is_readable = false;
  const auto size = static_cast<size_t>(got.bytes);
  Count(way, size);
  way.full_reads = size < room ? uint8_t{0}
                               : std::min<uint8_t>(static_cast<uint8_t>(way.full_reads + 1),
                                                   kFullReadsOfAStream);
  way.buffer.end = size;
  if (is_websocket_) TakeFrames(way);
  return Step::kMoved;
}

Tunnel::Step Tunnel::FillPipe(Way& way) {
  End& source = ends_[way.from];
  if (way.pipe == nullptr) way.pipe = worker_.pipes().Take();
  if (way.pipe == nullptr) return FillBuffer(way);
  const uint64_t room = is_websocket_ ? way.frames.payload_left() : SplicePipePool::kPipeBytes;
  const ssize_t got = way.pipe->Fill(source.transport->fd(), room);
  if (got == -EAGAIN) {
    source.is_readable = false;
    return Step::kBlocked;
  }
  if (got == -EINVAL) {
    can_splice_ = false;
    return FillBuffer(way);
  }
  if (got < 0) return Break(way, way.from);
  if (got == 0) {
    way.has_ended = true;
    return Step::kMoved;
  }
  const auto size = static_cast<size_t>(got);
  Count(way, size);
  if (is_websocket_) way.frames.Skip(size);
  // Unlike a short read it does not tell that nothing more is there: a copy finds out.
  if (size < kMinPipedBytes) way.full_reads = 0;
  return Step::kMoved;
}

// Follows the frames of what was read, and puts the close frame that is wanted behind the first
// that ends. Nothing passes after it, but the source's own close frame is waited for.
void Tunnel::TakeFrames(Way& way) {
  Buffer& buffer = way.buffer;
  size_t followed = 0;
  if (way.farewell == Farewell::kWanted) {
    followed = way.frames.Follow(buffer.data(), buffer.size(), true);
    if (way.frames.at_boundary() && !way.frames.has_closed()) {
      const size_t behind = buffer.size() - followed;
      buffer.end -= behind;
      way.frames.Follow(buffer.room(), behind);
      AppendFarewell(way);
      way.has_ended = way.frames.has_closed();
      return;
    }
  }
  way.frames.Follow(buffer.data() + followed, buffer.size() - followed);
  if (way.farewell != Farewell::kSent) return;
  buffer.end = buffer.begin;
  way.has_ended = way.frames.has_closed();
}

void Tunnel::AppendFarewell(Way& way) {
  if (!way.buffer) way.buffer = worker_.buffers().Take();
  if (way.buffer.size() == 0) way.buffer.begin = way.buffer.end = 0;
  uint8_t mask[4];
  const uint64_t random = worker_.Random();
  std::memcpy(mask, &random, sizeof mask);
  way.buffer.end += http::WriteCloseFrame(http::kCloseGoingAway,
                                          way.to == kTarget ? &mask : nullptr, way.buffer.room());
  way.farewell = Farewell::kSent;
}

// Nothing more comes this way, and all that came has left. False: the other side cannot be told
// yet.
bool Tunnel::EndWay(Way& way) {
  End& sink = ends_[way.to];
  if (!sink.is_writable) return false;
  if (sink.transport->ShutdownSending() == -EAGAIN) {
    sink.is_writable = false;
    return false;
  }
  way.is_done = true;
  Release(way);
  return true;
}

}  // namespace remuda::proxy
