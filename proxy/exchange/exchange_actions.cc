// What the rule that a request meets says is done with it: a chain of actions, each begun when the
// one before is done. One that waits for something suspends the chain, and it goes on from there;
// the queues for a place at a target, and for a first target, are such waits.
#include <algorithm>

#include "proxy/core/forward.h"
#include "proxy/core/match.h"
#include "proxy/core/mix.h"
#include "proxy/core/redirect.h"
#include "proxy/core/rewrite.h"
#include "proxy/exchange/exchange.h"
#include "proxy/exchange/worker_context.h"
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

void Exchange::BeginActions() {
  const ListenerSpec* const spec = origin_.entrance->spec;
  if (spec == nullptr) {  // the listener went while this connection was open
    end_.close = true;
    return Answer(http::Reason::kNoRule);
  }
  record_.rule = MatchRule(*spec, request_, origin_.peer->bytes);
  if (record_.rule == nullptr) return Answer(http::Reason::kNoRule);
  const RuleAction& action = record_.rule->action;
  if (std::holds_alternative<ForwardAction>(action)) {
    actions_ = kForwardChain;
  } else if (std::holds_alternative<FixedResponse>(action)) {
    actions_ = kFixedChain;
  } else {
    actions_ = kRedirectChain;
  }
  phase_ = Phase::kActing;
}

void Exchange::RunActions() {
  while (phase_ == Phase::kActing) {
    Acted acted = Acted::kElsewhere;
    switch (actions_[action_]) {
      case Action::kChooseGroup:
        acted = ChooseGroup();
        break;
      case Action::kRewrite:
        acted = record_.rule->rewrites == nullptr ? Acted::kDone : Rewrite();
        break;
      case Action::kPreparePick:
        acted = PreparePick();
        break;
      case Action::kTakePlace:
        acted = TakePlace();
        break;
      case Action::kOpenTarget:
        acted = OpenTarget();
        break;
      case Action::kAnswerFixed:
        acted = AnswerFixed();
        break;
      case Action::kAnswerRedirect:
        acted = AnswerRedirect();
        break;
    }
    if (acted == Acted::kDone) ++action_;
  }
}

// The action that is under way waits, until Resume.
Exchange::Acted Exchange::Suspend(SteadyTime until, http::Reason if_not_resumed) {
  phase_ = Phase::kSuspended;
  deadline_ = until;
  unresumed_ = if_not_resumed;
  return Acted::kSuspended;
}

// What the suspended action waited for is there.
void Exchange::Resume() {
  phase_ = Phase::kActing;
  ++action_;
}

Exchange::Acted Exchange::ChooseGroup() {
  const auto& forward = std::get<ForwardAction>(record_.rule->action);
  record_.group = forward.stickiness.count() == 0
                      ? PickGroup(forward)
                      : sticky_.ChooseGroup(Cookies(), forward, request_);
  if (record_.group != nullptr) return Acted::kDone;
  Answer(http::Reason::kNoRegisteredTarget);
  return Acted::kElsewhere;
}

Exchange::Acted Exchange::Rewrite() {
  if (!request_head_) request_head_ = worker_.buffers().Take();  // free until the head is written
  rewritten_bytes_ = worker_.buffers().Take();
  if (ApplyRewrites(*record_.rule->rewrites, request_,
                    {request_head_.block.get(), request_head_.capacity},
                    {rewritten_bytes_.block.get(), rewritten_bytes_.capacity}, rewritten_,
                    origin_.entrance->spec->load_balancer->paths)) {
    return Acted::kDone;
  }
  Answer(http::Reason::kBadRewrite);
  return Acted::kElsewhere;
}

// What the picks of all attempts have in common.
Exchange::Acted Exchange::PreparePick() {
  retry_action_ = static_cast<uint8_t>(action_ + 1);
  const TargetGroup* const group = record_.group->picker(worker_.index()).group;
  response_parser_.TakeBareLf(group != nullptr && group->policy.tolerance.bare_lf);
  if (group == nullptr) return Acted::kDone;
  tolerance_ = {.bare_lf = group->policy.tolerance.bare_lf,
                .padded_sizes = group->policy.tolerance.padded_chunk_sizes};
  if (!group->previews.empty()) pick_.preview = FindPreview(group->previews, request_);
  if (group->policy.stickiness.kind != StickinessSpec::Kind::kOff) {
    pick_.sticky_target =
        sticky_.ReadTarget(Cookies(), group->policy.stickiness, *record_.group, request_);
  }
  if (group->policy.algorithm == Algorithm::kConsistentHash)
    pick_.has_hash = HashKey(group->policy.hash_key, request_, origin_.peer->bytes, pick_.hash);
  return Acted::kDone;
}

// A target that was not tried. If there is none, a tried one: it may have closed by chance. But one
// that does not answer a connect costs the client the whole timeout again.
Picked Exchange::PickNext() {
  pick_.tried = {tried_.data(), record_.attempts};
  pick_.allow_tried = !has_connect_timed_out_;
  return worker_.Pick(*record_.group, pick_);
}

bool Exchange::MayTryNext() {
  pick_.tried = {tried_.data(), record_.attempts};
  return !has_connect_timed_out_ || worker_.HasUntried(*record_.group, pick_);
}

// Others wait for a place: those came before.
bool Exchange::MustQueue() const {
  const TargetGroup* const group = record_.group->picker(worker_.index()).group;
  const bool is_limited = group != nullptr && group->policy.limit.max_requests > 0;
  return is_limited && record_.group->CountWaiting() > 0;
}

// Picks a target, or waits until one has a place, or until there is one.
Exchange::Acted Exchange::TakePlace() {
  // Of those that wait for a first target here, none is passed by.
  if (!worker_.held_requests().empty() && worker_.held_requests().ServeBefore(*record_.group) &&
      HoldBehind()) {
    return Acted::kSuspended;
  }
  return MustQueue() ? Enqueue() : TakePicked(PickNext());
}

Exchange::Acted Exchange::TakePicked(const Picked& picked) {
  if (picked.is_full) return Enqueue();
  const HoldSpec* const hold = HoldFor(picked);
  if (hold != nullptr) return Hold(*hold);
  return BeginAttempt(picked) ? Acted::kDone : Acted::kElsewhere;
}

Exchange::Acted Exchange::Enqueue() {
  const LimitSpec& limit = record_.group->picker(worker_.index()).group->policy.limit;
  const SteadyTime now = worker_.loop().now();
  if (!was_queued_) queue_deadline_ = now + limit.queue_timeout;
  if (now >= queue_deadline_) {
    Answer(http::Reason::kQueueTimeout);
    return Acted::kElsewhere;
  }
  if (!worker_.place_queues().Push(*record_.group, *this, limit.max_queue)) {
    Answer(http::Reason::kQueueFull);
    return Acted::kElsewhere;
  }
  was_queued_ = true;
  worker_.counters().queued.Add(1);
  worker_.counters().queued_requests.Add(1);
  return Suspend(queue_deadline_, http::Reason::kQueueTimeout);
}

// Whichever it waits in.
void Exchange::LeaveQueue() {
  if (is_held_) return LeaveHold();
  worker_.place_queues().Remove(*record_.group, *this);
  worker_.counters().queued_requests.Sub(1);
}

bool Exchange::OnPlaceFree() {
  if (is_held_) return LookForTarget();
  const Picked picked = PickNext();
  if (picked.is_full) return false;
  LeaveQueue();
  if (TakePicked(picked) == Acted::kDone) Resume();
  origin_.client->Wake();
  return true;
}

// The request is in flight for the target that was picked from now on. False: there was none.
bool Exchange::BeginAttempt(const Picked& picked) {
  if (picked.target == nullptr) {
    Answer(record_.reason == http::Reason::kNone ? http::Reason::kNoRegisteredTarget
                                                 : record_.reason);
    return false;
  }
  record_.in_flight.Begin(worker_, *record_.group, picked);
  record_.reason = http::Reason::kNone;
  tried_[record_.attempts++] = picked.target;
  if (record_.attempts == 1) BeginMirror(picked.subset);
  return true;
}

Exchange::Acted Exchange::AnswerFixed() {
  const auto& fixed = std::get<FixedResponse>(record_.rule->action);
  traffic().fixed_responses.Add(1);
  http::OwnAnswer answer;
  answer.status = fixed.status;
  answer.content_type = fixed.content_type;
  answer.body = fixed.body;
  AnswerWith(answer);
  return Acted::kElsewhere;
}

Exchange::Acted Exchange::AnswerRedirect() {
  const Redirect& redirect = std::get<Redirect>(record_.rule->action);
  http::OwnAnswer answer;
  if (!request_head_) request_head_ = worker_.buffers().Take();
  switch (ExpandRedirect(redirect, request_, origin_.entrance->port,
                         {request_head_.block.get(), kMaxLocationBytes}, answer.location)) {
    case ExpandResult::kTooLong:
      Answer(http::Reason::kRedirectTooLong);
      return Acted::kElsewhere;
    case ExpandResult::kNoHost:
      Answer(http::Reason::kMissingHost);
      return Acted::kElsewhere;
    case ExpandResult::kOk:
      break;
  }
  traffic().redirects.Add(1);
  answer.status = redirect.status;
  redirect_url_ = answer.location;
  AnswerWith(answer);
  return Acted::kElsewhere;
}

}  // namespace remuda::proxy
