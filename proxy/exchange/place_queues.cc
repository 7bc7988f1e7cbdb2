#include "proxy/exchange/place_queues.h"

#include <algorithm>

namespace remuda::proxy {

bool PlaceQueues::Push(GroupState& group, Waiter& waiter, size_t max_queue) {
  if (group.CountWaiting() >= max_queue) return false;
  if (group.picker(worker_).queue.empty()) groups_.push_back(&group);
  group.Enqueue(worker_, waiter, loop_.now());
  if (!look_timer_.is_armed()) look_timer_.Arm(loop_, loop_.now() + kLookInterval);
  return true;
}

void PlaceQueues::Remove(GroupState& group, Waiter& waiter) {
  group.Dequeue(worker_, waiter);
  if (group.picker(worker_).queue.empty())
    groups_.erase(std::find(groups_.begin(), groups_.end(), &group));
}

void PlaceQueues::PlaceFreed(GroupState& group) {
  const size_t longest = group.LongestWaiting();
  if (longest == worker_) {
    ServeGroup(group);
  } else if (longest != GroupState::kNobody && wake_) {
    wake_(longest);
  }
}

void PlaceQueues::Serve() {
  if (is_serving_) {
    serve_again_ = true;
    return;
  }
  // A group leaves the list when its queue is empty.
  for (size_t i = groups_.size(); i-- > 0;) {
    if (i < groups_.size()) ServeGroup(*groups_[i]);
  }
  if (!groups_.empty()) look_timer_.Arm(loop_, loop_.now() + kLookInterval);
}

// One that is served may free a place at once, by failing: then once more, not one inside the
// other.
void PlaceQueues::ServeGroup(GroupState& group) {
  if (is_serving_) {
    serve_again_ = true;
    return;
  }
  is_serving_ = true;
  // The last that leaves may take the group with it, but never while it is in the list.
  while (std::find(groups_.begin(), groups_.end(), &group) != groups_.end()) {
    serve_again_ = false;
    if (!group.picker(worker_).queue.first()->OnPlaceFree() && !serve_again_) break;
  }
  is_serving_ = false;
}

}  // namespace remuda::proxy
