// What a deployment's analyses may say, by the comments of
// proto/remuda/v1/deployment_step.proto, and the values of what is left out.
//
// The values have been defaulted before they are checked. Pure.
#pragma once

#include "controller/core/door/execute.h"
#include "controller/core/door/validate.h"
#include "remuda/v1/deployment.pb.h"

namespace remuda::core {

void ApplyDefaults(v1::Analysis& value);

// `commands`: what the controller may run (null: nothing).
void CheckAnalysis(Violations& out, const FieldPath& at, const v1::Analysis& value,
                   const AnalysisCommands* commands);

}  // namespace remuda::core
