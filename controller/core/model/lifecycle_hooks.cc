#include "controller/core/model/lifecycle_hooks.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/core/model/words.h"

namespace remuda::core {
namespace {

bool AddHooks(const v1::AutoScalingGroup& group, v1::LifecycleHook::Transition transition,
              v1::Instance& instance) {
  instance.clear_lifecycle_actions();
  for (const v1::LifecycleHook& hook : group.lifecycle_hooks()) {
    if (hook.transition() != transition) continue;
    v1::LifecycleAction& action = *instance.add_lifecycle_actions();
    action.set_hook(hook.name());
    action.set_notification_metadata(hook.notification_metadata());
  }
  return instance.lifecycle_actions_size() > 0;
}

}  // namespace

const v1::LifecycleHook* FindHook(const v1::AutoScalingGroup& group, std::string_view name) {
  const auto& hooks = group.lifecycle_hooks();
  const auto it = std::find_if(hooks.begin(), hooks.end(),
                               [&](const v1::LifecycleHook& hook) { return hook.name() == name; });
  return it == hooks.end() ? nullptr : &*it;
}

void AddLaunchHooks(const v1::AutoScalingGroup& group, v1::Instance& instance) {
  AddHooks(group, v1::LifecycleHook::TRANSITION_LAUNCHING, instance);
  instance.clear_launch_hooks_done();
}

bool AddTerminatingHooks(const v1::AutoScalingGroup& group, v1::Instance& instance) {
  return AddHooks(group, v1::LifecycleHook::TRANSITION_TERMINATING, instance);
}

void BeginActions(const v1::AutoScalingGroup& group, Time now, v1::Instance& instance) {
  for (v1::LifecycleAction& action : *instance.mutable_lifecycle_actions()) {
    *action.mutable_start_time() = ToProto(now);
    const v1::LifecycleHook* hook = FindHook(group, action.hook());
    *action.mutable_heartbeat_deadline() =
        ToProto(hook == nullptr ? now : DeadlineAfterBeat(*hook, action, now));
  }
}

Time DeadlineAfterBeat(const v1::LifecycleHook& hook, const v1::LifecycleAction& action, Time now) {
  const Duration timeout = FromProto(hook.heartbeat_timeout());
  const Duration most = std::min(kHookTimeouts * timeout, kMaxHookWait);
  return std::min(now + timeout, FromProto(action.start_time()) + most);
}

std::string HeldText(const InstanceList& members) {
  int64_t held = 0;
  std::string first;
  for (const auto& [id, row] : members) {
    if (row->state() != v1::INSTANCE_STATE_PENDING_WAIT &&
        row->state() != v1::INSTANCE_STATE_TERMINATING_WAIT) {
      continue;
    }
    if (row->lifecycle_actions().empty()) continue;
    if (held++ == 0) {
      first =
          absl::StrCat("instance ", id, " waits for hook `", row->lifecycle_actions(0).hook(), "`");
    }
  }
  if (held < 2) return first;
  return absl::StrCat(Counted(held, "instance"), " wait for hooks: ", first);
}

}  // namespace remuda::core
