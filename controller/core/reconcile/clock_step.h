// ClockStep: a clock that was set back leaves times behind that are not there yet: a bake of
// seconds would then take hours. What is dated after now is dated now. Thread: the loop thread.
// Pure.
#pragma once

#include <string>

#include "controller/core/reconcile/pass.h"

namespace remuda::core {

// The rows of one group whose times something waits for: its instances and its deployments.
void DateBack(Pass& pass, const std::string& group_id);

}  // namespace remuda::core
