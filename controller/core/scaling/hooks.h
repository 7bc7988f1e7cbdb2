// Hooks: holds instances that launch until their hooks are complete, and those that end before they
// are stopped. The rules are model/lifecycle_hooks.h's. Thread: the loop thread. Pure.
#pragma once

#include <string>

#include "controller/core/reconcile/pass.h"

namespace remuda::core {

// Those of the group that launch: held once their processes run, let go when all is complete, ended
// where a hook was abandoned.
void FollowLaunchHooks(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group);

// Nothing is sent to the instance any more: whether it is held now before it is stopped.
bool HoldsEnd(Pass& pass, const std::string& id, const v1::AutoScalingGroup& group);

// One that is held before it is stopped, and whether it may be.
void FollowTerminatingHooks(Pass& pass, const std::string& id, const v1::AutoScalingGroup& group,
                            const v1::Instance& row);

}  // namespace remuda::core
