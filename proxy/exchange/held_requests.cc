#include "proxy/exchange/held_requests.h"

#include <utility>
#include <vector>

#include "proxy/core/routing_table.h"

namespace remuda::proxy {
namespace {

// Of the group as this worker has it; 0: it is in no table.
uint64_t SerialOf(GroupState& group, size_t worker) {
  const TargetGroup* const now = group.picker(worker).group;
  return now == nullptr ? 0 : now->serial;
}

// More than one for each that comes, so that the queue gets shorter.
constexpr size_t kAskedByOneMore = 2;

}  // namespace

bool HeldRequests::Push(GroupState& group, Waiter& waiter, const HoldSpec& hold, uint64_t bytes) {
  const auto before = group.TakeHeld(hold, bytes);
  if (!before) return false;
  Group& held = groups_[&group];
  if (held.count == 0) {
    held.version = group.picker(worker_).version;
    held.serial = SerialOf(group, worker_);
  }
  (held.due.empty() ? held.asked : held.due).Push(waiter, loop_.now());
  ++held.count;
  group.slot(worker_).held.Add(1);
  if (*before == 0 && on_first_) on_first_(group);
  // What came between the look for a target and this: nobody has told of it. The group is only
  // looked up, should it be gone by then.
  if (group.HasChangedSince(group.picker(worker_).version))
    loop_.Post([this, of = &group] { ServeGroup(*of); });
  return true;
}

void HeldRequests::Remove(GroupState& group, Waiter& waiter, uint64_t bytes) {
  waiter.LeaveQueue();
  group.GiveHeld(bytes);
  const auto it = groups_.find(&group);
  if (--it->second.count == 0) groups_.erase(it);
}

void HeldRequests::Close(SteadyTime until) {
  is_closed_ = true;
  patience_.Arm(loop_, until);
}

void HeldRequests::Serve() {
  for (auto& [group, held] : groups_) SetDue(*group, held);
  Ask(kMaxAskedATurn);
}

void HeldRequests::ServeChanged() {
  for (auto& [group, held] : groups_) {
    if (HasChanged(*group, held)) SetDue(*group, held);
  }
  Ask(kMaxAskedATurn);
}

void HeldRequests::ServeGroup(GroupState& group) {
  const auto it = groups_.find(&group);
  if (it == groups_.end()) return;
  SetDue(group, it->second);
  Ask(kMaxAskedATurn);
}

bool HeldRequests::ServeBefore(GroupState& group) {
  auto it = groups_.find(&group);
  if (it == groups_.end()) return false;
  if (HasChanged(group, it->second)) {
    ServeGroup(group);
  } else if (!it->second.due.empty() && !is_asking_) {
    Ask(kAskedByOneMore);
  }
  it = groups_.find(&group);
  return it != groups_.end() && !it->second.due.empty();
}

bool HeldRequests::HasChanged(GroupState& group, const Group& held) const {
  return held.version != group.version() || held.serial != SerialOf(group, worker_);
}

// All are asked, in order. Not only the first: others may ask for a subset that has a target
// already. Where some are being asked, all are again after them.
void HeldRequests::SetDue(GroupState& group, Group& held) {
  held.version = group.version();
  held.serial = SerialOf(group, worker_);
  if (!held.due.empty()) {
    held.is_due_again = true;
    return;
  }
  held.due.TakeAll(held.asked);
  if (!std::exchange(held.is_due, true)) due_.push_back(&group);
}

// One that is asked may bring others to ask by what it does: not one inside the other.
void HeldRequests::Ask(size_t most) {
  if (is_asking_ || (is_posted_ && most == kMaxAskedATurn)) return;
  is_asking_ = true;
  while (most > 0 && !due_.empty()) {
    if (AskNext()) --most;
  }
  is_asking_ = false;
  if (due_.empty() || std::exchange(is_posted_, true)) return;
  loop_.Post([this] {
    is_posted_ = false;
    Ask(kMaxAskedATurn);
  });
}

// False: the first of the groups has none left, and is not due any more.
bool HeldRequests::AskNext() {
  GroupState* const group = due_.front();
  const auto it = groups_.find(group);
  if (it == groups_.end() || it->second.due.empty()) {
    due_.pop_front();
    if (it == groups_.end()) return false;
    it->second.is_due = false;
    if (std::exchange(it->second.is_due_again, false)) SetDue(*group, it->second);
    return false;
  }
  Group& held = it->second;
  Waiter& waiter = *held.due.first();
  const SteadyTime since = held.due.since();
  held.due.Remove(waiter);
  held.asked.Push(waiter, since);
  waiter.OnPlaceFree();  // the last that leaves takes `held` with it
  return true;
}

}  // namespace remuda::proxy
