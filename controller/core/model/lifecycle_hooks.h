// Lifecycle hooks: what an instance waits for on its way up and down, and for how long (EC2 Auto
// Scaling's user guide: "Lifecycle hooks"). Pure functions of the rows.
#pragma once

#include <string>
#include <string_view>

#include "controller/core/model/state.h"
#include "controller/core/model/time.h"
#include "remuda/v1/auto_scaling.pb.h"

namespace remuda::core {

// However many heartbeats come, an instance waits for a hook no longer than so many times the
// hook's timeout, and no longer than this (both: EC2 Auto Scaling's quotas).
inline constexpr int kHookTimeouts = 100;
inline constexpr Duration kMaxHookWait = absl::Hours(48);
// A heartbeat counts that moves the deadline by at least this part of the timeout.
inline constexpr int kBeatsATimeout = 10;

// Null: the group has no hook of the name (any more).
const v1::LifecycleHook* FindHook(const v1::AutoScalingGroup& group, std::string_view name);

// The instance, which is to be launched, will wait for the group's launching hooks: they are its
// actions from the beginning, so that proxies never hear of it before; their times begin with
// BeginActions.
void AddLaunchHooks(const v1::AutoScalingGroup& group, v1::Instance& instance);
// The same of one that ends. Whether there are any.
bool AddTerminatingHooks(const v1::AutoScalingGroup& group, v1::Instance& instance);

// The wait for its actions begins.
void BeginActions(const v1::AutoScalingGroup& group, Time now, v1::Instance& instance);

// Until when it waits for the action if a heartbeat comes now.
Time DeadlineAfterBeat(const v1::LifecycleHook& hook, const v1::LifecycleAction& action, Time now);

// What instances wait for, for a person: "instance i-1 waits for hook `warm-up`"; empty: nothing.
std::string HeldText(const InstanceList& members);

}  // namespace remuda::core
