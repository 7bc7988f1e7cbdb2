// The way to the target: attempts, and the request on its way.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/client/client_worker.h"
#include "proxy/core/retry.h"
#include "proxy/exchange/session.h"
#include "proxy/target/target_greeting.h"
#include "proxy/tls/connection_info.h"

namespace remuda::proxy {

using http::BodyKind;
using http::Reason;

static_assert(kMaxAttempts >= kMaxAttemptsARequest);

namespace {

// A target that closes sooner, while more of the body is to come, has not given up on its client:
// one that falls as soon as it has read something would never be found out.
constexpr std::chrono::seconds kClientSilence{1};

constexpr bool IsOfTarget(Reason reason) {
  return reason > Reason::kNoRegisteredTarget && reason <= Reason::kTargetDrainTimeout;
}

}  // namespace

// Gets a connection to the target that was picked. The request is in flight for it from now on.
bool Session::BeginAttempt(const Picked& picked) {
  Exchange& x = *exchange_;
  if (picked.target == nullptr)
    return Answer(x.reason == Reason::kNone ? Reason::kNoRegisteredTarget : x.reason);
  x.in_flight.Begin(worker_, *x.group, picked);
  x.reason = Reason::kNone;
  x.tried[x.attempts++] = picked.target;
  // A repeat never rides a pooled connection: that may be as dead as the one before.
  // Nor does one that says whose it is.
  const http::ProxyVersion proxy = ProxyVersionOf(*x.group, worker_.index());
  const std::string_view host = x.rewritten.host.empty() ? x.request.host : x.rewritten.host;
  if (x.attempts == 1 && proxy == http::ProxyVersion::kNone)
    x.upstream = worker_.pool().Acquire(*picked.target, host);
  if (x.upstream != nullptr) {
    x.upstream->user = this;
    worker_.counters().connections_reused.Add(1);
    return BeginSending();
  }
  x.upstream = worker_.pool().Connect(*picked.target, this, host);
  if (x.upstream == nullptr)
    return IsOurShortage(errno) ? FailAttempt(Reason::kOverloaded, false)
                                : FailAttempt(Reason::kTargetConnectFailed, true);
  if (proxy != http::ProxyVersion::kNone)
    x.upstream->greeting = MakeTargetGreeting(proxy, peer_, client_transport().fd());
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
  switch (x.upstream->FinishConnect()) {
    case -EAGAIN:
      return false;
    case 0:
      return BeginSending();
    default:
      if (x.upstream->is_tls_failed) {
        worker_.counters().target_tls_failures.Add(1);
        return FailAttempt(Reason::kTargetTlsFailed, false);
      }
      return FailAttempt(Reason::kTargetConnectFailed, true);
  }
}

bool Session::BeginSending() {
  Exchange& x = *exchange_;
  ++x.upstream->requests;
  const tls::ConnectionInfo* const tls = ClientTls();
  const size_t need = http::MaxForwardedHeadBytes(x.head_size) + x.rewritten.host.size() +
                      x.rewritten.target.size() + (tls == nullptr ? 0 : tls->client_fields.size());
  if (x.request_head.capacity < need) {
    worker_.buffers().Give(x.request_head);
    x.request_head =
        need <= BufferPool::kBlockBytes ? worker_.buffers().Take() : BufferPool::TakeLarge();
  }
  http::ForwardedInfo info;
  info.client_address = {peer_.text, peer_.text_size};
  info.port = listener_->port;
  if (tls != nullptr) {
    info.protocol = "https";
    info.client_fields = tls->client_fields;
  }
  if (listener_->spec != nullptr) info.rules = listener_->spec->load_balancer->headers;
  info.client_port = peer_.port;
  if (info.rules.makes_traceparent) info.span_id = worker_.Random() | 1;
  info.new_host = x.rewritten.host;
  info.new_target = x.rewritten.target;
  info.fallback_host = x.in_flight.target()->endpoint();
  info.new_trace_id = {x.trace_id, 35};
  const size_t size = http::WriteRequestHead(x.request, x.framing, info, x.request_head.block.get(),
                                             x.request_head.capacity);
  if (size == 0) return FailAttempt(Reason::kHeadTooLarge, false);
  x.any_sent = x.is_request_staged = false;
  x.body_staged = x.head_size;
  x.to_upstream.Clear();
  x.request_head.end = size;
  x.to_upstream.Add(x.request_head.block.get(), size);
  x.sent_to_target = worker_.loop().now();
  StageBody();
  phase_ = Phase::kForwarding;
  x.last_progress = x.sent_to_target;
  x.rate_check = SteadyTime();
  ArmForwarding();
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
    x.to_upstream.AddBehind(x.request_head, data, size);
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
  const uint64_t before = x.received_bytes + x.sent_bytes;
  while (true) {
    const Pump request = PumpRequest();
    if (request == Pump::kEnded) return true;
    const Pump response = PumpResponse();
    if (response == Pump::kEnded) return true;
    if (request == Pump::kBlocked && response == Pump::kBlocked) {
      ArmForwarding();
      return false;
    }
    x.last_progress = worker_.loop().now();
    const bool is_turn_over = x.received_bytes + x.sent_bytes - before >= kMaxBytesATurn;
    if (!is_turn_over || stream_ != nullptr) continue;  // a stream's windows bound it
    // Others first: what is ready now has an event again.
    worker_.loop().Rebind(transport_.fd(), this, this);
    worker_.loop().Rebind(x.upstream->transport.fd(), x.upstream, x.upstream);
    ArmForwarding();
    return false;
  }
}

// The client has asked for a 100 (Continue), has not got it, and has sent nothing of its body.
bool Session::MayAwaitContinue() const {
  const Exchange& x = *exchange_;
  return x.framing.expects_continue && x.interim_responses == 0 && x.received_bytes == x.head_size;
}

// The client's body is what is waited for: the target has all that came of it, and no answer is
// under way.
bool Session::AwaitsBody() const {
  const Exchange& x = *exchange_;
  return !x.is_body_done && !IsTargetBehind() && !x.is_upload_stopped && !MayAwaitContinue() &&
         (!x.has_response_head || x.is_response_staged);
}

// All of the request is with the target.
bool Session::IsUploadOver() const { return exchange_->is_request_staged && !IsTargetBehind(); }

// Until nothing has come for too long, or the upload's rate is to be looked at.
void Session::ArmForwarding() {
  Exchange& x = *exchange_;
  SteadyTime deadline = x.last_progress + IdleTimeout();
  if (!AwaitsBody()) {
    x.rate_check = SteadyTime();
  } else {
    if (x.rate_check == SteadyTime()) {
      x.rate_check = worker_.loop().now() + worker_.settings().body_rate_interval;
      x.rate_bytes = x.received_bytes;
    }
    deadline = std::min(deadline, x.rate_check);
  }
  timer_.Arm(worker_.loop(), deadline);
}

// Looks at the rate of the upload once an interval: silence is no better than a trickle.
bool Session::IsUploadInTime() {
  Exchange& x = *exchange_;
  const SteadyTime now = worker_.loop().now();
  if (x.rate_check == SteadyTime() || now < x.rate_check || !AwaitsBody()) return true;
  if (x.received_bytes - x.rate_bytes < worker_.settings().body_rate_min_bytes) return false;
  x.rate_check = SteadyTime();
  return true;
}

// The target takes no more of the request. It may have answered early and closed: what it sent
// decides (PumpResponse).
void Session::StopUpload() {
  Exchange& x = *exchange_;
  x.is_upload_stopped = true;
  x.upstream->is_closing = x.upstream->is_readable = true;
}

// Something is read of the request that it has not taken yet.
bool Session::IsTargetBehind() const {
  const Exchange& x = *exchange_;
  return !x.to_upstream.empty() || (x.request_pipe != nullptr && x.request_pipe->size() > 0);
}

Session::Pump Session::PumpRequest() {
  Exchange& x = *exchange_;
  Pump result = Pump::kBlocked;
  const uint64_t before = x.received_bytes;
  while (!x.is_upload_stopped && x.received_bytes - before < kMaxBytesATurn) {
    if (!x.to_upstream.empty()) {
      const ssize_t sent = x.to_upstream.Send(x.upstream->transport);
      if (sent == -EAGAIN) return result;
      if (sent < 0) {
        StopUpload();
        return Pump::kProgress;
      }
      x.any_sent = true;
      result = Pump::kProgress;
      if (!x.to_upstream.empty()) return result;
    }
    // Warm in the cache for the next request. A large one is not held while a body is awaited.
    if (x.is_request_staged || x.request_head.capacity > BufferPool::kBlockBytes)
      worker_.buffers().Give(x.request_head);
    if (x.is_request_staged) return result;
    if (TakeRequestPipe()) {
      const Pump spliced = SpliceRequest();
      return spliced == Pump::kBlocked ? result : spliced;
    }
    if (!is_readable_) return result;
    if (in_.room_size() == 0) {
      // All of it is sent: the block is used again, and the request cannot be repeated any more.
      x.is_body_held = false;
      in_.end = x.body_end = x.body_staged = x.head_size;
    }
    const ssize_t got = ReceiveFromClient(in_.room_size());
    if (got == -EAGAIN) return result;
    if (got <= 0) {
      x.reason = Reason::kClientClosed;
      CloseNow();
      return Pump::kEnded;
    }
    DecodeBody(static_cast<size_t>(got));
    if (x.reason != Reason::kNone) return FailResponse(x.reason);
    StageBody();
    result = Pump::kProgress;
  }
  return result;
}

// The target has all that came of the request, and the client has kept back the rest for a while:
// it may give up on such a client.
bool Session::IsUploadAwaited() const {
  const Exchange& x = *exchange_;
  return !x.is_body_done && !x.is_upload_stopped && !IsTargetBehind() &&
         worker_.loop().now() - x.last_progress >= kClientSilence;
}

// Counts the end of an attempt against its target, unless the client can bring it about: whoever
// wants to would take good targets out.
void Session::BlameTarget(Reason reason) {
  Exchange& x = *exchange_;
  const bool is_clients =
      !IsOfTarget(reason) || (reason == Reason::kTargetClosed && IsUploadAwaited()) ||
      (reason == Reason::kTargetUnaskedUpgrade && !x.framing.upgrade.empty() && !IsUploadOver());
  if (is_clients) return;
  x.in_flight.target()->slot(worker_.index()).connection_errors.Add(1);
  // A certificate is for a name, and that may be the client's.
  const bool is_failure =
      x.any_answered ? reason == Reason::kTargetClosed
                     : reason != Reason::kTargetDrainTimeout && reason != Reason::kTargetTlsFailed;
  if (is_failure) NoteOutcome(true);
}

bool Session::FailAttempt(Reason reason, bool is_connect_failure) {
  Exchange& x = *exchange_;
  const bool is_targets_fault = IsOfTarget(reason);
  if (is_targets_fault) {
    BlameTarget(reason);
    if (is_connect_failure) {
      x.group->slot(worker_.index()).connection_errors.Add(1);
      worker_.TargetRefused(*x.in_flight.target());
    }
  }
  const FailedAttempt attempt{.any_sent = x.any_sent,
                              .is_idempotent = http::IsIdempotent(x.request.method),
                              .body_is_held = x.is_body_held,
                              .response_started = x.has_response_bytes,
                              .attempts = x.attempts};
  if (reason == Reason::kTargetConnectTimeout) x.has_connect_timed_out = true;
  if (x.upstream != nullptr) ReleaseUpstream(false);
  x.in_flight.End(worker_);
  if (is_targets_fault && MayRetry(attempt) && MayTryNext()) {
    if (worker_.retry_budget().Take()) {
      worker_.counters().retries.Add(1);
      NoteFailedAttempt();
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

}  // namespace remuda::proxy
