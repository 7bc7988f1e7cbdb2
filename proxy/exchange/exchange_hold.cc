// Waiting for a first target: a request of a group that has none which takes it, and whose config
// says that requests wait for one (HoldSpec). Nothing more is read of it meanwhile.
#include <algorithm>
#include <charconv>

#include "proxy/exchange/exchange.h"
#include "proxy/exchange/worker_context.h"

namespace remuda::proxy {

using http::Reason;

namespace {

// What is answered as Retry-After is the time in which a target is expected, but no more than this:
// a client that comes back early waits again.
constexpr std::chrono::seconds kLongestRetryAfter{30};
// Another proxy takes it.
constexpr std::chrono::seconds kDrainingRetryAfter{1};

}  // namespace

// Of its group as it is now; null: requests do not wait.
const HoldSpec* Exchange::FindHold() const {
  const TargetGroup* const group = record_.group->picker(worker_.index()).group;
  return group != nullptr && group->policy.hold.is_on() ? &group->policy.hold : nullptr;
}

// Null: it does not wait. Where there is a target, but it was tried and is not to be again, nothing
// would let it go.
const HoldSpec* Exchange::HoldFor(const Picked& picked) {
  if (picked.target != nullptr || picked.is_full) return nullptr;
  const HoldSpec* const hold = FindHold();
  if (hold == nullptr || record_.attempts == 0) return hold;
  pick_.tried = {};
  return worker_.HasUntried(*record_.group, pick_) ? nullptr : hold;
}

// What is kept of its body while it waits.
uint64_t Exchange::UnsentBodyBytes() const {
  return input_.size() - std::min(input_.size(), head_size_) + origin_.client->unread_body_bytes();
}

// A proxy that drains lets none begin to wait; one that did already, for this or for a place, or
// that was with a target, may go on.
bool Exchange::MayBeginHold() const {
  const HeldRequests& held = worker_.held_requests();
  if (!held.is_closed()) return true;
  return !held.is_over() && (was_held_ || was_queued_ || record_.attempts > 0);
}

Exchange::Acted Exchange::Hold(const HoldSpec& hold) {
  const SteadyTime now = worker_.loop().now();
  if (!was_held_) hold_deadline_ = now + hold.timeout;
  if (!MayBeginHold()) {
    Answer(Reason::kProxyDraining);
  } else if (now >= hold_deadline_) {
    Answer(Reason::kHoldTimeout);
  } else if (!PushHeld(hold)) {
    Answer(Reason::kHoldFull);
  } else {
    return Suspend(hold_deadline_, Reason::kHoldTimeout);
  }
  return Acted::kElsewhere;
}

bool Exchange::PushHeld(const HoldSpec& hold) {
  const uint64_t bytes = UnsentBodyBytes();
  if (!worker_.held_requests().Push(*record_.group, *this, hold, bytes)) return false;
  is_held_ = was_held_ = true;
  held_bytes_ = bytes;
  return true;
}

// Others of its group are yet to be asked. Where it may not wait behind them, it passes them by.
bool Exchange::HoldBehind() {
  const HoldSpec* const hold = FindHold();
  if (hold == nullptr || !MayBeginHold()) return false;
  const SteadyTime now = worker_.loop().now();
  if (!was_held_) hold_deadline_ = now + hold->timeout;
  if (now >= hold_deadline_ || !PushHeld(*hold)) return false;
  Suspend(hold_deadline_, Reason::kHoldTimeout);
  return true;
}

void Exchange::LeaveHold() {
  is_held_ = false;
  worker_.held_requests().Remove(*record_.group, *this, held_bytes_);
}

// Something has changed of the group: there may be a target, or requests do not wait any more.
bool Exchange::LookForTarget() {
  if (MustQueue()) {
    LeaveHold();
    Enqueue();
  } else {
    const Picked picked = PickNext();
    if (HoldFor(picked) != nullptr && !worker_.held_requests().is_over()) return false;
    LeaveHold();
    if (TakePicked(picked) == Acted::kDone) Resume();
  }
  origin_.client->Wake();
  return true;
}

// A client that sends whether or not it is read from (HTTP/2, within its windows) may have sent
// more by now.
void Exchange::CountHeldBytes() {
  const HoldSpec* const hold = FindHold();
  const uint64_t bytes = UnsentBodyBytes();
  if (hold == nullptr || bytes == held_bytes_) return;
  if (record_.group->MoveHeldBytes(*hold, held_bytes_, bytes)) {
    held_bytes_ = bytes;
    return;
  }
  LeaveHold();
  Answer(Reason::kHoldFull);
}

// Empty unless the answer says when to come again.
std::string_view Exchange::WriteRetryAfter(Reason reason, std::span<char> room) const {
  auto time = kDrainingRetryAfter;
  if (reason == Reason::kHoldFull || reason == Reason::kHoldTimeout) {
    const HoldSpec* const hold = FindHold();
    time = hold == nullptr ? kLongestRetryAfter
                           : std::min(kLongestRetryAfter,
                                      std::chrono::ceil<std::chrono::seconds>(hold->timeout));
  } else if (reason != Reason::kProxyDraining) {
    return {};
  }
  const char* const end = std::to_chars(room.data(), room.data() + room.size(), time.count()).ptr;
  return {room.data(), static_cast<size_t>(end - room.data())};
}

}  // namespace remuda::proxy
