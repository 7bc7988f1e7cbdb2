// The requests of one worker that wait for a first target (TargetGroup.request_hold): of each
// target group a queue, first come, first served. The bounds hold exactly over all workers
// (GroupState::TakeHeld). They are let go by whoever brings a target: a table that this worker
// adopts, or a first passed check, of which the control loop tells; nobody looks now and then.
//
// Thread: its worker's.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>

#include "proxy/core/target_state.h"
#include "proxy/core/wait_queue.h"
#include "proxy/io/event_loop.h"

namespace remuda::proxy {

class HeldRequests {
 public:
  // How many are asked in a turn of the loop: each may connect to a target.
  static constexpr size_t kMaxAskedATurn = 64;

  // `on_first`: a request of the group waits, at whichever worker, and none did before.
  HeldRequests(EventLoop& loop, size_t worker, std::function<void(GroupState&)> on_first)
      : loop_(loop), worker_(worker), on_first_(std::move(on_first)), patience_([this] {
          is_closed_ = is_over_ = true;
          Serve();
        }) {}

  bool empty() const { return groups_.empty(); }
  // From now on no request begins to wait. Those that do may until then.
  void Close(SteadyTime until);
  // The same, but requests may begin to wait until then.
  void CloseLater(SteadyTime until) { patience_.Arm(loop_, until); }
  bool is_closed() const { return is_closed_; }
  // Who finds no target gives up.
  bool is_over() const { return is_over_; }

  // `bytes`: what was read of its body. False if that, or one more, is over the bounds.
  bool Push(GroupState& group, Waiter& waiter, const HoldSpec& hold, uint64_t bytes);
  void Remove(GroupState& group, Waiter& waiter, uint64_t bytes);
  // Lets all look whether there is a target by now.
  void Serve();
  // Those of groups of which something has changed since they looked last.
  void ServeChanged();
  void ServeGroup(GroupState& group);
  // The same, if something has changed. True if some are yet to be asked: one that comes now is
  // behind them.
  bool ServeBefore(GroupState& group);

 private:
  struct Group {
    WaitQueue asked;  // there was none for them
    WaitQueue due;    // to be asked, behind those
    bool is_due = false;
    bool is_due_again = false;  // once all were asked
    size_t count = 0;           // in both
    // Of the group, when they began to look last.
    uint64_t version = 0;
    uint64_t serial = 0;
  };

  bool HasChanged(GroupState& group, const Group& held) const;
  void SetDue(GroupState& group, Group& held);
  void Ask(size_t most);
  bool AskNext();

  EventLoop& loop_;
  const size_t worker_;
  const std::function<void(GroupState&)> on_first_;
  Timer patience_;
  std::map<GroupState*, Group> groups_;  // of which some wait here
  std::deque<GroupState*> due_;          // those whose requests are to be asked; some may be gone
  bool is_asking_ = false;
  bool is_posted_ = false;  // the rest is asked in the next turn
  bool is_closed_ = false;
  bool is_over_ = false;
};

}  // namespace remuda::proxy
