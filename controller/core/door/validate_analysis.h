// What a deployment's analyses, previews and mirroring may say, by the comments of
// proto/remuda/v1/deployment_step.proto, and the values of what is left out.
//
// The values have been defaulted before they are checked. Pure.
#pragma once

#include <google/protobuf/repeated_field.h>

#include "controller/core/door/execute.h"
#include "controller/core/door/validate.h"
#include "remuda/v1/deployment.pb.h"

namespace remuda::core {

void ApplyDefaults(v1::Analysis& value);
void ApplyDefaults(v1::Mirror& value);

// `commands`: what the controller may run (null: nothing).
void CheckAnalysis(Violations& out, const FieldPath& at, const v1::Analysis& value,
                   const AnalysisCommands* commands);

// Other ports are for shifts between target groups only.
void CheckPreviews(Violations& out, const FieldPath& at,
                   const google::protobuf::RepeatedPtrField<v1::PreviewRoute>& value,
                   bool is_shift);

void CheckMirror(Violations& out, const FieldPath& at, const v1::Mirror& value);

}  // namespace remuda::core
