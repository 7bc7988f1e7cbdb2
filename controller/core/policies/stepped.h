// Step and simple scaling: adjustments while an alarm is breached. Pure.
//
// Source: EC2 Auto Scaling's "step and simple scaling policies".
#pragma once

#include "controller/core/policies/verdict.h"

namespace remuda::core {

Verdict FollowSteps(const Inputs& inputs, const std::string& name,
                    const v1::StepScalingPolicy& policy, PolicyMemory& memory);
Verdict FollowSimple(const Inputs& inputs, const std::string& name,
                     const v1::SimpleScalingPolicy& policy, PolicyMemory& memory);

// `capacity` as the adjustment makes it: not below 0.
int Adjusted(int capacity, v1::AdjustmentType type, int adjustment, int min_adjustment);

}  // namespace remuda::core
