// What scaling policies may say, and what they get where something is left out. Pure.
#pragma once

#include "controller/core/door/validate.h"
#include "controller/core/model/observations.h"

namespace remuda::core {

void ApplyDefaults(v1::ScalingPolicy& policy);

// All policies of the group, defaulted. `before`: the group as it was, null for a new one: what a
// scheduled policy of it said already may be past.
void CheckPolicies(Violations& out, const FieldPath& at, const v1::AutoScalingGroup* before,
                   const v1::AutoScalingGroup& value, const Observations& seen, Time now);

// Scheduled policies that are new or were changed act from now on: not for what was due before.
void BeginSchedules(const v1::AutoScalingGroup* before, v1::AutoScalingGroup& value, Time now);

}  // namespace remuda::core
