// The way to the target: an attempt, and what becomes of it when it fails.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "proxy/core/retry_policy.h"
#include "proxy/exchange/exchange.h"
#include "proxy/exchange/worker_context.h"
#include "proxy/target/target_greeting.h"
#include "proxy/tls/connection_info.h"

namespace remuda::proxy {

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

// Gets a connection to the target that was picked.
Exchange::Acted Exchange::OpenTarget() {
  // A repeat never rides a pooled connection: that may be as dead as the one before.
  // Nor does one that says whose it is.
  const http::ProxyVersion proxy = ProxyVersionOf(*record_.group, worker_.index());
  TargetStreams::Wanted wanted{
      .target = *record_.in_flight.target(),
      .user = this,
      .host = rewritten_.host.empty() ? request_.host : rewritten_.host,
      .may_reuse = record_.attempts == 1 && proxy == http::ProxyVersion::kNone};
  std::string greeting;
  if (proxy != http::ProxyVersion::kNone) {
    greeting = MakeTargetGreeting(proxy, *origin_.peer, origin_.client->transport().fd());
    wanted.greeting = greeting;
  }
  const TargetStreams::Opened opened = worker_.targets().Open(wanted);
  stream_ = opened.stream;
  if (stream_ == nullptr) {
    if (IsOurShortage(errno)) {
      FailAttempt(Reason::kOverloaded, false);
    } else {
      FailAttempt(Reason::kTargetConnectFailed, true);
    }
    return Acted::kElsewhere;
  }
  auto& counters = worker_.counters();
  if (opened.is_reused) {
    counters.connections_reused.Add(1);
    BeginSending();
    return Acted::kElsewhere;
  }
  counters.connections_made.Add(1);
  phase_ = Phase::kConnecting;
  SetDeadline(worker_.settings().connect_timeout);
  return Acted::kElsewhere;
}

bool Exchange::AwaitConnect() {
  if (has_client_left_) {
    Cut(Reason::kClientClosed);
    return true;
  }
  switch (stream_->FinishConnect()) {
    case -EAGAIN:
      return false;
    case 0:
      BeginSending();
      return true;
    default:
      if (stream_->has_tls_failed()) {
        worker_.counters().target_tls_failures.Add(1);
        FailAttempt(Reason::kTargetTlsFailed, false);
      } else {
        FailAttempt(Reason::kTargetConnectFailed, true);
      }
      return true;
  }
}

// As the request's head is told to `target`.
http::ForwardedInfo Exchange::ForwardedTo(const TargetState& target) {
  http::ForwardedInfo info;
  info.client_address = {origin_.peer->text, origin_.peer->text_size};
  info.port = origin_.entrance->port;
  if (const tls::ConnectionInfo* tls = origin_.client->transport().tls_info(); tls != nullptr) {
    info.protocol = "https";
    info.client_fields = tls->client_fields;
  }
  if (origin_.entrance->spec != nullptr)
    info.rules = origin_.entrance->spec->load_balancer->headers;
  info.client_port = origin_.peer->port;
  if (info.rules.makes_traceparent) info.span_id = worker_.Random() | 1;
  info.new_host = rewritten_.host;
  info.new_target = rewritten_.target;
  info.fallback_host = target.endpoint();
  info.new_trace_id = {record_.trace_id, 35};
  return info;
}

// At most.
size_t Exchange::ForwardedHeadBytes() const {
  const tls::ConnectionInfo* const tls = origin_.client->transport().tls_info();
  return http::MaxForwardedHeadBytes(head_size_) + rewritten_.host.size() +
         rewritten_.target.size() + (tls == nullptr ? 0 : tls->client_fields.size());
}

void Exchange::BeginSending() {
  const size_t need = ForwardedHeadBytes();
  if (request_head_.capacity < need) {
    worker_.buffers().Give(request_head_);
    request_head_ =
        need <= BufferPool::kBlockBytes ? worker_.buffers().Take() : BufferPool::TakeLarge();
  }
  any_sent_ = false;
  body_staged_ = head_size_;
  upload_.BeginAgain();
  if (!stream_->SendHead(request_, framing_, ForwardedTo(*record_.in_flight.target()),
                         request_head_, upload_.staged())) {
    return FailAttempt(Reason::kHeadTooLarge, false);
  }
  record_.sent_to_target = last_progress_ = worker_.loop().now();
  record_.in_flight.NoteSent();
  StageUpload();
  phase_ = Phase::kForwarding;
  rate_check_ = SteadyTime();
  ArmForwarding();
}

bool Exchange::Forward() {
  if (has_client_left_) {
    Cut(Reason::kClientClosed);
    return true;
  }
  const uint64_t before = record_.received_bytes + record_.sent_bytes;
  while (true) {
    const Pump request = PumpRequest();
    if (request == Pump::kEnded) return true;
    const Pump response = PumpResponse();
    if (response == Pump::kEnded) return true;
    if (request == Pump::kBlocked && response == Pump::kBlocked) break;
    last_progress_ = worker_.loop().now();
    const bool is_turn_over =
        record_.received_bytes + record_.sent_bytes - before >= kMaxBytesATurn;
    if (!is_turn_over || !origin_.client->Yield()) continue;
    stream_->Yield();
    break;
  }
  ArmForwarding();
  return false;
}

// Until nothing has come for too long, or the upload's rate is to be looked at.
void Exchange::ArmForwarding() {
  deadline_ = last_progress_ + IdleTimeout();
  if (!AwaitsBody()) {
    rate_check_ = SteadyTime();
    return;
  }
  if (rate_check_ == SteadyTime()) {
    rate_check_ = worker_.loop().now() + worker_.settings().body_rate_interval;
    rate_bytes_ = record_.received_bytes;
  }
  deadline_ = std::min(deadline_, rate_check_);
}

// The target has all that came of the request, and the client has kept back the rest for a while:
// it may give up on such a client.
bool Exchange::IsUploadAwaited() const {
  return !upload_.is_source_done() && !upload_.is_stopped() && !upload_.is_sink_behind() &&
         worker_.loop().now() - last_progress_ >= kClientSilence;
}

// How the attempt ended for its target: gateway failures in a row may take it out.
void Exchange::NoteOutcome(bool is_failure) {
  const TargetGroup* const group = record_.group->picker(worker_.index()).group;
  const uint32_t allowed = group == nullptr ? 0 : group->policy.ejection.consecutive_failures;
  if (allowed == 0) return;
  TargetState& target = *record_.in_flight.target();
  if (!is_failure) return target.ClearFailures();
  if (target.AddFailure() < allowed) return;
  target.ClearFailures();
  worker_.TargetFailing(target);
}

// Counts the end of an attempt against its target, unless the client can bring it about: whoever
// wants to would take good targets out.
void Exchange::BlameTarget(Reason reason) {
  const bool is_clients =
      !IsOfTarget(reason) || (reason == Reason::kTargetClosed && IsUploadAwaited()) ||
      (reason == Reason::kTargetUnaskedUpgrade && !framing_.upgrade.empty() && !IsUploadOver());
  if (is_clients) return;
  record_.in_flight.target()->slot(worker_.index()).connection_errors.Add(1);
  record_.in_flight.NoteError();
  // A certificate is for a name, and that may be the client's.
  const bool is_failure =
      is_bound_ ? reason == Reason::kTargetClosed
                : reason != Reason::kTargetDrainTimeout && reason != Reason::kTargetTlsFailed;
  if (is_failure) NoteOutcome(true);
}

// Repeats the request on another target, or answers.
void Exchange::FailAttempt(Reason reason, bool is_connect_failure) {
  const bool is_targets_fault = IsOfTarget(reason);
  if (is_targets_fault) {
    BlameTarget(reason);
    if (is_connect_failure) {
      record_.group->slot(worker_.index()).connection_errors.Add(1);
      worker_.TargetRefused(*record_.in_flight.target());
    }
  }
  const FailedAttempt attempt{.any_sent = any_sent_,
                              .is_idempotent = http::IsIdempotent(request_.method),
                              .body_is_held = is_body_held_,
                              .response_started = progress_ != ResponseProgress::kAwaited,
                              .attempts = record_.attempts};
  if (reason == Reason::kTargetConnectTimeout) has_connect_timed_out_ = true;
  ReleaseTarget(false);
  if (is_targets_fault && MayRetry(attempt) && MayTryNext()) {
    if (worker_.retry_budget().Take()) {
      worker_.counters().retries.Add(1);
      NoteFailedAttempt();
      record_.reason = reason;  // if there is no target left to try
      upload_.BeginAgain();
      response_parser_.Reset();
      if (response_in_) response_in_.begin = response_in_.end = 0;
      action_ = retry_action_;
      phase_ = Phase::kActing;
      return;
    }
    worker_.counters().retries_refused.Add(1);
  }
  Answer(reason);
}

void Exchange::ReleaseTarget(bool may_reuse) {
  if (stream_ != nullptr) std::exchange(stream_, nullptr)->End(may_reuse);
  record_.in_flight.End(worker_);
}

}  // namespace remuda::proxy
