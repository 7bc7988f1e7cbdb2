// What a group says of its instances' lives: defaults and checks. Pure.
#pragma once

#include "controller/core/door/validate.h"
#include "remuda/v1/auto_scaling.pb.h"

namespace remuda::core {

void ApplyLifecycleDefaults(v1::AutoScalingGroup& value);

// `at`: the group.
void CheckLifecycle(Violations& out, const FieldPath& at, const v1::AutoScalingGroup& value);

}  // namespace remuda::core
