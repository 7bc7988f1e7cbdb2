// A group of instances of which tests ask what people ask: commands are committed if they are
// right.
#pragma once

#include <functional>
#include <string>

#include "controller/core/door/execute.h"
#include "controller/core/model/capacity.h"
#include "controller/core/views/describe.h"
#include "tests/unit/controller/core/world.h"

namespace remuda::core {

class LifecycleTest : public ::testing::Test {
 protected:
  LifecycleTest() {
    world.Host("h1", "a");
    world.Host("h2", "a");
    world.Proxy("p1");
    world.Balanced("tg");
    world.Template("shop", 1, 0);
  }
  // Group blue 0..6 in target group tg, settled at `desired`.
  void Shop(int desired, const std::function<void(v1::AutoScalingGroup&)>& edit = nullptr) {
    world.Group("blue", 0, 6, desired, [&](auto& row) {
      row.add_target_groups("tg");
      if (edit) edit(row);
    });
    world.Settle();
  }
  // Asks for it. The draft is committed if it is right.
  template <class Request>
  absl::Status Ask(const Request& request) {
    Draft draft(world.state);
    const auto answer = Execute(draft, request, Context{world.seen, world.now});
    if (answer.ok()) world.state.Apply(draft.Take(), world.state.commit() + 1);
    return answer.status();
  }
  template <class Request>
  absl::Status AskOf(const std::string& id, const std::function<void(Request&)>& edit = nullptr) {
    Request request;
    request.set_name("instances/" + id);
    if (edit) edit(request);
    return Ask(request);
  }
  v1::Instance Row(const std::string& id) { return world.Get<v1::Instance>(id); }
  v1::AutoScalingGroup Group() { return world.Get<v1::AutoScalingGroup>("blue"); }
  v1::AutoScalingGroupStatus Status() {
    return Describe(Draft(world.state), world.seen, world.now, Group()).status();
  }
  bool IsTarget(const std::string& id) {
    return TargetGroupViewOf(world.state, world.seen, "tg").targets.contains(id);
  }

  World world;
};

// The same with hooks.
class HookTest : public LifecycleTest {
 protected:
  static void Add(v1::AutoScalingGroup& row, const std::string& name,
                  v1::LifecycleHook::Transition transition,
                  v1::LifecycleActionResult result = v1::LIFECYCLE_ACTION_RESULT_ABANDON) {
    v1::LifecycleHook& hook = *row.add_lifecycle_hooks();
    hook.set_name(name);
    hook.set_transition(transition);
    hook.set_default_result(result);
    *hook.mutable_heartbeat_timeout() = ToProto(absl::Seconds(60));
  }
  // A group with one desired, whose only instance runs. Answers its id.
  std::string Launching() {
    world.Step();
    const std::string id = *world.state.InstancesOfGroup("blue").begin();
    world.Runs(id);
    world.Step();
    return id;
  }
  absl::Status Complete(const std::string& id, const std::string& hook,
                        v1::LifecycleActionResult result = v1::LIFECYCLE_ACTION_RESULT_CONTINUE) {
    return AskOf<v1::CompleteLifecycleActionRequest>(id, [&](auto& request) {
      request.set_hook(hook);
      request.set_result(result);
    });
  }
  void Blue(const std::function<void(v1::AutoScalingGroup&)>& edit) {
    world.Group("blue", 0, 6, 1, [&](auto& row) {
      row.add_target_groups("tg");
      edit(row);
    });
  }
  static constexpr auto kLaunching = v1::LifecycleHook::TRANSITION_LAUNCHING;
  static constexpr auto kTerminating = v1::LifecycleHook::TRANSITION_TERMINATING;
  static constexpr auto kPendingWait = v1::INSTANCE_STATE_PENDING_WAIT;
  static constexpr auto kTerminatingWait = v1::INSTANCE_STATE_TERMINATING_WAIT;
};

}  // namespace remuda::core
