// Secrets in requests: what was shown as `***` and is sent back. Pure.
#pragma once

#include <google/protobuf/message.h>

#include "controller/core/door/validate.h"

namespace remuda::core {

// Puts the secret of `before` (of value's type; null if there is none) for each that `value` gives
// as
// `***`, what stands for one where resources are shown; a violation where `before` has none. Of
// lists of messages none is kept: nothing says which entry is meant.
void KeepSecrets(Violations& out, const FieldPath& at, const google::protobuf::Message* before,
                 google::protobuf::Message& value);

}  // namespace remuda::core
