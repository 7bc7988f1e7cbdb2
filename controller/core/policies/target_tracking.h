// Target tracking: how many instances bring a metric to its target. Pure.
//
// Source: AWS Application Auto Scaling's and EC2 Auto Scaling's "target tracking scaling policies";
// what is done otherwise, and why: docs/scaling.md.
#pragma once

#include "controller/core/policies/verdict.h"

namespace remuda::core {

// What the policy wants now. `memory` is what it knew after the point before, and is brought up to
// date.
Verdict FollowTarget(const Inputs& inputs, const std::string& name,
                     const v1::TargetTrackingPolicy& policy, PolicyMemory& memory);

}  // namespace remuda::core
