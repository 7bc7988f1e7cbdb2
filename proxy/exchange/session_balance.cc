// What balancing asks of a request: the key of its hash, and patience.
#include <algorithm>

#include "proxy/client/client_worker.h"
#include "proxy/core/mix.h"
#include "proxy/exchange/session.h"
#include "proxy/http/chars.h"
#include "proxy/http/cookie.h"

namespace remuda::proxy {
namespace {

// False if the request has no key: then it is spread in turn.
bool HashKey(const HashKeySpec& spec, const http::RequestHead& head, const IpBytes& source,
             uint64_t& hash) {
  switch (spec.kind) {
    case HashKeySpec::Kind::kHeader:
      for (const http::Field& field : head.fields) {
        if (!http::EqualsIgnoreCase(field.name, spec.name)) continue;
        hash = HashOf(field.value);
        return true;
      }
      return false;
    case HashKeySpec::Kind::kCookie: {
      const auto value = http::FindCookie(head.fields, spec.name);
      if (value) hash = HashOf(*value);
      return value.has_value();
    }
    case HashKeySpec::Kind::kSourceIp:
      hash = HashOf({reinterpret_cast<const char*>(source.data()), source.size()});
      return true;
  }
  return false;
}

}  // namespace

// Between the choice of a group and the first attempt.
void Session::PreparePick() {
  Exchange& x = *exchange_;
  const TargetGroup* const group = x.group->picker(worker_.index()).group;
  x.response_parser.TakeBareLf(group != nullptr && group->policy.tolerance.bare_lf);
  if (group == nullptr) return;
  x.tolerance = {.bare_lf = group->policy.tolerance.bare_lf,
                 .padded_sizes = group->policy.tolerance.padded_chunk_sizes};
  if (group->policy.stickiness.kind != StickinessSpec::Kind::kOff)
    ReadTargetCookie(group->policy.stickiness);
  if (group->policy.algorithm == Algorithm::kConsistentHash)
    x.pick.has_hash = HashKey(group->policy.hash_key, x.request, peer_.bytes, x.pick.hash);
}

// How the attempt ended for its target: gateway failures in a row may take it out.
void Session::NoteOutcome(bool is_failure) {
  Exchange& x = *exchange_;
  const TargetGroup* const group = x.group->picker(worker_.index()).group;
  const uint32_t allowed = group == nullptr ? 0 : group->policy.ejection.consecutive_failures;
  if (allowed == 0) return;
  if (!is_failure) return x.in_flight.target()->ClearFailures();
  if (x.in_flight.target()->AddFailure() < allowed) return;
  x.in_flight.target()->ClearFailures();
  worker_.TargetFailing(*x.in_flight.target());
}

// A target that was not tried. If there is none, a tried one: it may have closed by chance. But one
// that does not answer a connect costs the client the whole timeout again.
Picked Session::PickNext() {
  Exchange& x = *exchange_;
  x.pick.tried = {x.tried.data(), x.attempts};
  x.pick.allow_tried = !x.has_connect_timed_out;
  return worker_.Pick(*x.group, x.pick);
}

bool Session::MayTryNext() {
  Exchange& x = *exchange_;
  x.pick.tried = {x.tried.data(), x.attempts};
  return !x.has_connect_timed_out || worker_.HasUntried(*x.group, x.pick);
}

// Picks a target, or waits until one has a place.
bool Session::StartAttempt() {
  Exchange& x = *exchange_;
  const TargetGroup* const group = x.group->picker(worker_.index()).group;
  const bool is_limited = group != nullptr && group->policy.limit.max_requests > 0;
  if (is_limited && x.group->CountWaiting() > 0) return Enqueue();  // those came before
  const Picked picked = PickNext();
  return picked.is_full ? Enqueue() : BeginAttempt(picked);
}

bool Session::Enqueue() {
  Exchange& x = *exchange_;
  const LimitSpec& limit = x.group->picker(worker_.index()).group->policy.limit;
  const SteadyTime now = worker_.loop().now();
  if (!x.was_queued) x.queue_deadline = now + limit.queue_timeout;
  if (now >= x.queue_deadline) return Answer(http::Reason::kQueueTimeout);
  x.queued.session = this;
  if (!worker_.place_queues().Push(*x.group, x.queued, limit.max_queue))
    return Answer(http::Reason::kQueueFull);
  x.was_queued = true;
  worker_.counters().queued.Add(1);
  worker_.counters().queued_requests.Add(1);
  phase_ = Phase::kQueued;
  timer_.Arm(worker_.loop(), x.queue_deadline);
  return true;
}

bool Session::AwaitPlace() {
  if (!is_hung_up_) return false;
  exchange_->reason = http::Reason::kClientClosed;
  return CloseNow();
}

void Session::LeaveQueue() {
  worker_.place_queues().Remove(*exchange_->group, exchange_->queued);
  worker_.counters().queued_requests.Sub(1);
}

bool QueuedRequest::OnPlaceFree() { return session->OnPlaceFree(); }

bool Session::OnPlaceFree() {
  const Picked picked = PickNext();
  if (picked.is_full) return false;
  LeaveQueue();
  BeginAttempt(picked);
  Drive();
  return true;
}

}  // namespace remuda::proxy
