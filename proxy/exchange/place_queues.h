// The queues of one worker for places at targets with a concurrency limit (core/wait_queue.h), one
// a target group. A place that becomes free goes to the request that waits longest over all
// workers; in between, new requests queue up behind.
//
// Thread: its worker's.
#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "proxy/core/target_state.h"
#include "proxy/core/wait_queue.h"
#include "proxy/io/event_loop.h"

namespace remuda::proxy {

class PlaceQueues {
 public:
  // How often all that wait look anew, for what nobody tells them: targets that came, became
  // healthy or left, and waiters before them that gave up.
  static constexpr std::chrono::milliseconds kLookInterval{20};

  // `wake`: tells that other worker to Serve.
  PlaceQueues(EventLoop& loop, size_t worker, std::function<void(size_t)> wake)
      : loop_(loop), worker_(worker), wake_(std::move(wake)), look_timer_([this] { Serve(); }) {}

  // False if the group's queue holds `max_queue` already, over all workers.
  bool Push(GroupState& group, Waiter& waiter, size_t max_queue);
  void Remove(GroupState& group, Waiter& waiter);
  // A request to one of the group's targets has ended. Costs a look if nobody waits, which is the
  // rule.
  void PlaceFreed(GroupState& group);
  // Lets all try whose turn it is.
  void Serve();

 private:
  void ServeGroup(GroupState& group);

  EventLoop& loop_;
  const size_t worker_;
  const std::function<void(size_t)> wake_;
  std::vector<GroupState*> groups_;  // with a queue that is not empty
  bool is_serving_ = false;
  bool serve_again_ = false;
  Timer look_timer_;
};

}  // namespace remuda::proxy
