// The target's side of a session: attempts, the request on its way, the response on its way back.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/core/retry.h"
#include "proxy/session.h"
#include "proxy/worker.h"

namespace remuda::proxy {

using http::BodyKind;
using http::Reason;

static_assert(kMaxAttempts >= kMaxAttemptsARequest);

namespace {

// A target that never comes to its final response.
constexpr uint32_t kMaxInterimResponses = 16;

// Errors of connect that say nothing about the target.
bool IsOurShortage(int error) {
  switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL:
    case EAGAIN:
      return true;
    default:
      return false;
  }
}

}  // namespace

// Picks a target and gets a connection to it. From the pick on the request is in flight for the
// target.
bool Session::StartAttempt() {
  Exchange& x = *exchange_;
  if (x.target_table != nullptr) worker_.Unpin(x.target_table);
  x.target_table = worker_.Pin();
  x.target = PickTarget(*x.group, worker_.index(), {x.tried.data(), x.attempts}, true);
  if (x.target == nullptr)
    return Answer(x.reason == Reason::kNone ? Reason::kNoRegisteredTarget : x.reason);
  x.reason = Reason::kNone;
  x.last_target = x.target;
  TargetSlot& slot = x.target->slot(worker_.index());
  slot.in_flight.Add(1);
  slot.requests.Add(1);
  x.tried[x.attempts++] = x.target;
  // A repeat never rides a pooled connection: that may be as dead as the one before.
  x.upstream = x.attempts == 1 ? worker_.pool().Acquire(*x.target) : nullptr;
  if (x.upstream != nullptr) {
    x.upstream->session = this;
    worker_.counters().connections_reused.Add(1);
    return BeginSending();
  }
  x.upstream = worker_.pool().Connect(*x.target, this);
  if (x.upstream == nullptr)
    return IsOurShortage(errno) ? FailAttempt(Reason::kOverloaded, false)
                                : FailAttempt(Reason::kTargetConnectFailed, true);
  worker_.counters().connections_made.Add(1);
  phase_ = Phase::kConnecting;
  Arm(worker_.settings().connect_timeout);
  return true;
}

bool Session::AwaitConnect() {
  Exchange& x = *exchange_;
  if (is_hung_up_) {
    x.reason = Reason::kClientClosed;
    return CloseNow();
  }
  if (!x.upstream->is_writable) return false;
  if (const int error = ConnectError(x.upstream->fd); error != 0)
    return FailAttempt(Reason::kTargetConnectFailed, true);
  x.upstream->is_connected = true;
  return BeginSending();
}

bool Session::BeginSending() {
  Exchange& x = *exchange_;
  ++x.upstream->requests;
  const size_t need = http::MaxForwardedHeadBytes(x.head_size);
  if (x.request_head.capacity < need) {
    worker_.buffers().Give(x.request_head);
    x.request_head =
        need <= BufferPool::kBlockBytes ? worker_.buffers().Take() : BufferPool::TakeLarge();
  }
  http::ForwardedInfo info;
  info.client_address = {peer_.text, peer_.text_size};
  info.port = listener_->port;
  info.mode = listener_->spec != nullptr ? listener_->spec->load_balancer->forwarded_for
                                         : http::ForwardedForMode::kAppend;
  info.fallback_host = x.target->endpoint();
  info.new_trace_id = {x.trace_id, 35};
  const size_t size = http::WriteRequestHead(x.request, x.framing, info, x.request_head.block.get(),
                                             x.request_head.capacity);
  if (size == 0) return FailAttempt(Reason::kHeadTooLarge, false);
  x.any_sent = x.is_request_staged = false;
  x.body_staged = x.head_size;
  x.to_upstream.Clear();
  x.to_upstream.Add(x.request_head.block.get(), size);
  x.sent_to_target = worker_.loop().now();
  StageBody();
  phase_ = Phase::kForwarding;
  Arm(IdleTimeout());
  return true;
}

// Takes `raw_bytes` that lie behind body_end as body, decodes them in place, and keeps what belongs
// to the next request.
void Session::DecodeBody(size_t raw_bytes) {
  Exchange& x = *exchange_;
  char* const at = in_.block.get() + x.body_end;
  if (x.framing.kind == BodyKind::kLength) {
    const size_t take = static_cast<size_t>(std::min<uint64_t>(x.body_left, raw_bytes));
    x.body_left -= take;
    x.body_end += take;
    x.received_bytes += take;
    x.is_body_done = x.body_left == 0;
    return;
  }
  const auto result = x.body_decoder.Decode(at, raw_bytes, at);
  x.received_bytes += result.consumed;
  if (x.body_decoder.reason() != Reason::kNone) {
    x.reason = x.body_decoder.reason();
    return;
  }
  x.is_body_done = x.body_decoder.done();
  // What follows the body moves up behind what was decoded.
  std::memmove(at + result.produced, at + result.consumed, raw_bytes - result.consumed);
  x.body_end += result.produced;
  in_.end -= result.consumed - result.produced;
}

// Stages what is decoded and not staged yet, in the coding that the target was told.
void Session::StageBody() {
  Exchange& x = *exchange_;
  const size_t size = x.body_end - x.body_staged;
  const char* const data = in_.block.get() + x.body_staged;
  if (x.framing.kind == BodyKind::kChunked) {
    const std::string_view last = "\r\n0\r\n\r\n";
    if (size > 0) {
      x.to_upstream.Add(x.request_chunk_head, http::WriteChunkHead(size, x.request_chunk_head));
      x.to_upstream.Add(data, size);
    }
    // CRLF ends the chunk; the last chunk follows it.
    const std::string_view tail =
        x.is_body_done ? (size > 0 ? last : last.substr(2)) : last.substr(0, size > 0 ? 2 : 0);
    x.to_upstream.Add(tail.data(), tail.size());
  } else {
    x.to_upstream.Add(data, size);
  }
  x.body_staged = x.body_end;
  x.is_request_staged = x.is_body_done;
}

bool Session::Forward() {
  Exchange& x = *exchange_;
  if (is_hung_up_) {
    x.reason = Reason::kClientClosed;
    return CloseNow();
  }
  while (true) {
    const Pump request = PumpRequest();
    if (request == Pump::kEnded) return true;
    const Pump response = PumpResponse();
    if (response == Pump::kEnded) return true;
    if (request == Pump::kBlocked && response == Pump::kBlocked) return false;
    Arm(IdleTimeout());
  }
}

// Looks at the rate of the upload once an interval. Silence is the idle timeout's business.
bool Session::IsBodyTooSlow() {
  const Exchange& x = *exchange_;
  const SteadyTime now = worker_.loop().now();
  if (rate_check_ != SteadyTime() && now < rate_check_) return false;
  const bool is_slow = rate_check_ != SteadyTime() && !x.is_body_done &&
                       x.received_bytes - rate_bytes_ < worker_.settings().body_rate_min_bytes;
  rate_check_ = now + worker_.settings().body_rate_interval;
  rate_bytes_ = x.received_bytes;
  return is_slow;
}

Session::Pump Session::PumpRequest() {
  Exchange& x = *exchange_;
  Pump result = Pump::kBlocked;
  while (!x.is_upload_stopped) {
    if (!x.to_upstream.empty()) {
      const ssize_t sent = x.to_upstream.Send(x.upstream->fd);
      if (sent == -EAGAIN) {
        rate_check_ = SteadyTime();  // it is the target that is slow
        return result;
      }
      if (sent < 0) {
        // It may have answered early and closed: what it sent decides (PumpResponse).
        x.is_upload_stopped = true;
        x.upstream->is_closing = x.upstream->is_readable = true;
        return Pump::kProgress;
      }
      x.any_sent = true;
      result = Pump::kProgress;
      if (!x.to_upstream.empty()) return result;
    }
    if (x.is_request_staged || !is_readable_) return result;
    if (in_.room_size() == 0) {
      // All of it is sent: the block is used again, and the request cannot be repeated any more.
      x.is_body_held = false;
      in_.end = x.body_end = x.body_staged = x.head_size;
      if (in_.room_size() == 0) {  // a head as large as its block
        x.reason = Reason::kHeadTooLarge;
        return FailResponse(Reason::kHeadTooLarge);
      }
    }
    const ssize_t got = ReceiveFromClient(in_.room_size());
    if (got == -EAGAIN) return result;
    if (got <= 0) {
      x.reason = Reason::kClientClosed;
      CloseNow();
      return Pump::kEnded;
    }
    DecodeBody(static_cast<size_t>(got));
    if (x.reason == Reason::kNone && IsBodyTooSlow()) x.reason = Reason::kClientBodyTimeout;
    if (x.reason != Reason::kNone) return FailResponse(x.reason);
    StageBody();
    result = Pump::kProgress;
  }
  return result;
}

Session::Pump Session::PumpResponse() {
  Exchange& x = *exchange_;
  Pump result = Pump::kBlocked;
  while (true) {
    if (!x.to_client.empty()) {
      const ssize_t sent = x.to_client.Send(fd_);
      if (sent == -EAGAIN) return result;
      if (sent < 0) {
        x.reason = Reason::kClientClosed;
        CloseNow();
        return Pump::kEnded;
      }
      x.sent_bytes += static_cast<uint64_t>(sent);
      worker_.counters().sent_bytes.Add(static_cast<uint64_t>(sent));
      result = Pump::kProgress;
      if (!x.to_client.empty()) return result;
    }
    if (x.is_response_staged) {
      ReleaseUpstream(x.is_upstream_reusable);
      ReleaseTarget();
      FinishExchange();
      return Pump::kEnded;
    }
    const Pump step = x.has_response_head ? StageResponseBody() : TakeResponseHead();
    if (step == Pump::kEnded) return step;
    if (step == Pump::kBlocked) return result;
    result = Pump::kProgress;
  }
}

// Reads more of the response. kEnded: the exchange is over.
Session::Pump Session::ReceiveResponse() {
  Exchange& x = *exchange_;
  UpstreamConnection& upstream = *x.upstream;
  if (!upstream.is_readable) return Pump::kBlocked;
  if (!x.response_in) x.response_in = worker_.buffers().Take();
  if (x.response_in.size() == 0) x.response_in.begin = x.response_in.end = 0;
  if (x.response_in.room_size() == 0) {
    // Only a head can fill a block: into a larger one.
    if (x.response_in.capacity >= BufferPool::kLargeBytes)
      return FailResponse(Reason::kTargetBadResponse);
    Buffer larger = BufferPool::TakeLarge();
    std::memcpy(larger.block.get(), x.response_in.data(), x.response_in.size());
    larger.end = x.response_in.size();
    worker_.buffers().Give(x.response_in);
    x.response_in = std::move(larger);
    x.response_parser.Reset();
  }
  const size_t room = x.response_in.room_size();
  ssize_t got;
  do {
    got = recv(upstream.fd, x.response_in.room(), room, 0);
  } while (got < 0 && errno == EINTR);
  if (got == -1 && errno == EAGAIN) {
    upstream.is_readable = false;
    return Pump::kBlocked;
  }
  if (got <= 0) {
    upstream.is_closing = true;
    const bool is_end =
        got == 0 && x.has_response_head && x.response_framing.kind == BodyKind::kUntilClose;
    if (!is_end) return FailResponse(Reason::kTargetClosed);
    x.response_framing.kind = BodyKind::kNone;  // the body is whole now
    return Pump::kProgress;
  }
  if (static_cast<size_t>(got) < room && !upstream.is_closing) upstream.is_readable = false;
  if (!x.has_response_bytes) x.response_begin = worker_.loop().now();
  x.has_response_bytes = true;
  x.response_in.end += static_cast<size_t>(got);
  return Pump::kProgress;
}

Session::Pump Session::TakeResponseHead() {
  Exchange& x = *exchange_;
  if (x.response_in.size() == 0) return ReceiveResponse();
  switch (x.response_parser.Parse(x.response_in.data(), x.response_in.size(), x.response)) {
    case http::ParseStatus::kNeedMore:
      return ReceiveResponse();
    case http::ParseStatus::kError:
      return FailResponse(Reason::kTargetBadResponse);
    case http::ParseStatus::kDone:
      break;
  }
  if (http::DecideResponseFraming(x.response, x.request.method, x.response_framing) !=
      Reason::kNone) {
    return FailResponse(Reason::kTargetBadResponse);
  }
  if (x.response.status == 101) return FailResponse(Reason::kTargetUnaskedUpgrade);
  return x.response.status < 200 ? PassInterim() : StartResponse();
}

// 1xx: passed on to HTTP/1.1 clients; the final response follows.
Session::Pump Session::PassInterim() {
  Exchange& x = *exchange_;
  if (++x.interim_responses > kMaxInterimResponses) return FailResponse(Reason::kTargetBadResponse);
  if (x.request.minor_version == 1) {
    if (!x.response_head) x.response_head = worker_.buffers().Take();
    const size_t size = http::WriteResponseHead(x.response, {}, x.response_head.block.get(),
                                                x.response_head.capacity);
    if (size == 0) return FailResponse(Reason::kTargetBadResponse);
    x.to_client.Add(x.response_head.block.get(), size);
  }
  x.response_in.begin += x.response_parser.head_size();
  x.response_parser.Reset();
  return Pump::kProgress;
}

Session::Pump Session::StartResponse() {
  Exchange& x = *exchange_;
  const http::Framing& framing = x.response_framing;
  x.has_response_head = true;
  x.target_status = x.status = x.response.status;
  x.response_left = framing.length;
  x.client_body = framing.kind;
  // An early answer: the rest of the upload is not sent, and neither connection can be used again.
  const bool is_early = !x.is_request_staged || !x.to_upstream.empty();
  if (is_early) {
    x.is_upload_stopped = true;
    close_after_ = linger_after_ = true;
  }
  if (framing.kind == BodyKind::kUntilClose || framing.kind == BodyKind::kChunked) {
    x.client_body = x.request.minor_version == 1 ? BodyKind::kChunked : BodyKind::kUntilClose;
    if (x.client_body == BodyKind::kUntilClose) close_after_ = true;
  }
  x.is_upstream_reusable = framing.keep_alive && !is_early;
  http::ResponseStyle style;
  style.kind = x.client_body;
  style.has_length = framing.has_length;
  style.length = framing.length;
  style.close = MustClose();
  style.say_keep_alive = !style.close && x.request.minor_version == 0;
  if (style.close) close_after_ = true;
  const size_t need = http::MaxForwardedHeadBytes(x.response_parser.head_size());
  if (x.response_head.capacity < need) {
    worker_.buffers().Give(x.response_head);
    x.response_head =
        need <= BufferPool::kBlockBytes ? worker_.buffers().Take() : BufferPool::TakeLarge();
  }
  const size_t size = http::WriteResponseHead(x.response, style, x.response_head.block.get(),
                                              x.response_head.capacity);
  if (size == 0) return FailResponse(Reason::kTargetBadResponse);
  x.any_answered = true;
  x.to_client.Add(x.response_head.block.get(), size);
  x.response_in.begin += x.response_parser.head_size();
  WorkerMetrics& counters = worker_.counters();
  const auto us =
      std::chrono::duration_cast<std::chrono::microseconds>(x.response_begin - x.sent_to_target)
          .count();
  counters.ObserveResponseTime(static_cast<uint64_t>(std::max<int64_t>(us, 0)));
  counters.target_codes[static_cast<size_t>(x.response.status / 100)].Add(1);
  TargetSlot& slot = x.target->slot(worker_.index());
  slot.response_time_us.Add(static_cast<uint64_t>(std::max<int64_t>(us, 0)));
  if (x.response.status >= 500) slot.server_errors.Add(1);
  return x.response_in.size() > 0 || framing.kind == BodyKind::kNone ? StageResponseBody()
                                                                     : Pump::kProgress;
}

// Stages the body bytes that have come, in the coding that the client was told, behind what is
// staged already.
Session::Pump Session::StageResponseBody() {
  Exchange& x = *exchange_;
  http::Framing& framing = x.response_framing;
  const bool needs_more = framing.kind != BodyKind::kNone && x.response_in.size() == 0;
  if (needs_more) {
    const Pump step = ReceiveResponse();
    if (step != Pump::kProgress) return step;
  }
  char* const data = x.response_in.block ? x.response_in.data() : nullptr;
  size_t size = x.response_in.block ? x.response_in.size() : 0;
  bool is_done = false;
  switch (framing.kind) {
    case BodyKind::kNone:
      is_done = true;
      size = 0;
      break;
    case BodyKind::kLength:
      size = static_cast<size_t>(std::min<uint64_t>(size, x.response_left));
      x.response_left -= size;
      x.response_in.begin += size;
      is_done = x.response_left == 0;
      break;
    case BodyKind::kUntilClose:
      x.response_in.begin += size;
      break;
    case BodyKind::kChunked: {
      const auto result = x.response_decoder.Decode(data, size, data);
      if (x.response_decoder.reason() != Reason::kNone)
        return FailResponse(Reason::kTargetBadResponse);
      x.response_in.begin += result.consumed;
      size = result.produced;
      is_done = x.response_decoder.done();
      break;
    }
  }
  if (x.client_body == BodyKind::kChunked) {
    const std::string_view last = "\r\n0\r\n\r\n";
    if (size > 0) {
      x.to_client.Add(x.response_chunk_head, http::WriteChunkHead(size, x.response_chunk_head));
      x.to_client.Add(data, size);
    }
    const std::string_view tail =
        is_done ? (size > 0 ? last : last.substr(2)) : last.substr(0, size > 0 ? 2 : 0);
    x.to_client.Add(tail.data(), tail.size());
  } else {
    x.to_client.Add(data, size);
  }
  x.is_response_staged = is_done;
  // Bytes behind the response are nobody's: the connection is not used again.
  if (is_done && x.response_in.size() > 0) x.is_upstream_reusable = false;
  return Pump::kProgress;
}

// The target failed, or the request's own body did. Retries, answers, or cuts the response short.
Session::Pump Session::FailResponse(Reason reason) {
  Exchange& x = *exchange_;
  if (x.any_answered) {
    x.reason = reason;
    worker_.counters().reasons[static_cast<size_t>(reason)].Add(1);
    x.target->slot(worker_.index()).connection_errors.Add(1);
    CloseNow();
    return Pump::kEnded;
  }
  FailAttempt(reason, false);
  return Pump::kEnded;
}

bool Session::FailAttempt(Reason reason, bool is_connect_failure) {
  Exchange& x = *exchange_;
  const bool is_targets_fault =
      reason >= Reason::kNoRegisteredTarget && reason != Reason::kOverloaded;
  if (is_targets_fault) {
    x.target->slot(worker_.index()).connection_errors.Add(1);
    if (is_connect_failure) {
      worker_.counters().target_connection_errors.Add(1);
      worker_.TargetRefused(*x.target);
    }
  }
  const FailedAttempt attempt{.any_sent = x.any_sent,
                              .is_idempotent = http::IsIdempotent(x.request.method),
                              .body_is_held = x.is_body_held,
                              .response_started = x.has_response_bytes,
                              .attempts = x.attempts};
  if (x.upstream != nullptr) ReleaseUpstream(false);
  ReleaseTarget();
  if (is_targets_fault && MayRetry(attempt)) {
    if (worker_.retry_budget().Take()) {
      worker_.counters().retries.Add(1);
      x.reason = reason;  // if there is no target left to try
      x.is_upload_stopped = false;
      x.to_upstream.Clear();
      x.response_parser.Reset();
      if (x.response_in) x.response_in.begin = x.response_in.end = 0;
      return StartAttempt();
    }
    worker_.counters().retries_refused.Add(1);
  }
  return Answer(reason);
}

void Session::ReleaseUpstream(bool reuse) {
  Exchange& x = *exchange_;
  if (x.upstream == nullptr) return;
  if (reuse) {
    worker_.pool().Release(x.upstream);
  } else {
    worker_.pool().Close(x.upstream);
  }
  x.upstream = nullptr;
}

void Session::ReleaseTarget() {
  Exchange& x = *exchange_;
  if (x.target == nullptr) return;
  TargetState& target = *x.target;
  x.target = nullptr;
  target.slot(worker_.index()).in_flight.Sub(1);
  worker_.TargetReleased(target);
}

}  // namespace remuda::proxy
