// The requests of one worker that wait for a first target (TargetGroup.request_hold): of each
// target group a queue, first come, first served. The bounds hold exactly over all workers
// (GroupState::TakeHeld). They are let go by whoever brings a target: a table that this worker
// adopts, or a first passed check, of which the control loop tells; nobody looks now and then.
//
// Thread: its worker's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "proxy/core/target_state.h"
#include "proxy/core/wait_queue.h"
#include "proxy/io/event_loop.h"

namespace remuda::proxy {

class HeldRequests {
 public:
  // `on_first`: a request of the group waits, at whichever worker, and none did before.
  HeldRequests(EventLoop& loop, size_t worker, std::function<void(GroupState&)> on_first)
      : loop_(loop), worker_(worker), on_first_(std::move(on_first)) {}

  bool empty() const { return groups_.empty(); }
  // From now on none waits: those that do are served once more, and are to give up.
  void Close();
  bool is_closed() const { return is_closed_; }

  // `bytes`: what was read of its body. False if that, or one more, is over the bounds.
  bool Push(GroupState& group, Waiter& waiter, const HoldSpec& hold, uint64_t bytes);
  void Remove(GroupState& group, Waiter& waiter, uint64_t bytes);
  // Lets all look whether there is a target by now.
  void Serve();
  void ServeGroup(GroupState& group);
  // The same, unless nothing has changed of the group since they looked last.
  void ServeIfChanged(GroupState& group);

 private:
  struct Group {
    WaitQueue queue;
    size_t count = 0;  // in the queue, and of those that are yet to be asked in a pass over it
    // Of the group, when they looked last.
    uint64_t version = 0;
    uint64_t serial = 0;
  };

  void ServeOnce(GroupState& group);

  EventLoop& loop_;
  const size_t worker_;
  const std::function<void(GroupState&)> on_first_;
  std::map<GroupState*, Group> groups_;  // of which some wait here
  bool is_serving_ = false;
  bool serve_again_ = false;
  bool is_closed_ = false;
};

}  // namespace remuda::proxy
