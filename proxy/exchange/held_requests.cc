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

}  // namespace

bool HeldRequests::Push(GroupState& group, Waiter& waiter, const HoldSpec& hold, uint64_t bytes) {
  const auto before = group.TakeHeld(hold, bytes);
  if (!before) return false;
  Group& held = groups_[&group];
  if (held.count == 0) {
    held.version = group.picker(worker_).version;
    held.serial = SerialOf(group, worker_);
  }
  held.queue.Push(waiter, loop_.now());
  ++held.count;
  group.slot(worker_).held.Add(1);
  if (*before == 0 && on_first_) on_first_(group);
  // What came between the look for a target and this: nobody has told of it.
  if (group.HasChangedSince(group.picker(worker_).version)) loop_.Post([this] { Serve(); });
  return true;
}

void HeldRequests::Remove(GroupState& group, Waiter& waiter, uint64_t bytes) {
  waiter.LeaveQueue();
  group.GiveHeld(bytes);
  const auto it = groups_.find(&group);
  if (--it->second.count == 0) groups_.erase(it);
}

void HeldRequests::Close() {
  is_closed_ = true;
  Serve();
}

void HeldRequests::Serve() {
  std::vector<GroupState*> groups;
  for (const auto& [group, held] : groups_) groups.push_back(group);
  for (GroupState* const group : groups) {
    if (groups_.count(group) > 0) ServeGroup(*group);
  }
}

// One that is served may bring others to ask by what it does: then once more, not one inside the
// other.
void HeldRequests::ServeGroup(GroupState& group) {
  if (is_serving_) {
    serve_again_ = true;
    return;
  }
  is_serving_ = true;
  // The last that leaves may take the group with it, but never while it is in the list.
  do {
    serve_again_ = false;
    if (groups_.count(&group) > 0) ServeOnce(group);
  } while (serve_again_);
  is_serving_ = false;
}

void HeldRequests::ServeIfChanged(GroupState& group) {
  const auto it = groups_.find(&group);
  if (it == groups_.end()) return;
  const Group& held = it->second;
  if (held.version != group.version() || held.serial != SerialOf(group, worker_)) ServeGroup(group);
}

// Each is asked once; those that wait on keep their order. Not only the first: others may ask for a
// subset that has a target already.
void HeldRequests::ServeOnce(GroupState& group) {
  Group& held = groups_.find(&group)->second;
  held.version = group.version();
  held.serial = SerialOf(group, worker_);
  WaitQueue& queue = held.queue;
  WaitQueue pass;
  pass.TakeAll(queue);
  while (Waiter* const waiter = pass.first()) {
    const SteadyTime since = pass.since();
    pass.Remove(*waiter);
    queue.Push(*waiter, since);
    waiter->OnPlaceFree();
  }
}

}  // namespace remuda::proxy
