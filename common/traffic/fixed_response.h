// An answer that the proxy gives itself.
#pragma once

#include <cstddef>

#include "common/traffic/field_fault.h"

namespace remuda::v1 {
class FixedResponseAction;
}  // namespace remuda::v1

namespace remuda::traffic {

inline constexpr size_t kMaxFixedBodyBytes = 1024;  // ELB: FixedResponseActionConfig

// Every fault of it.
FieldFaults CheckFixedResponse(const v1::FixedResponseAction& config);

}  // namespace remuda::traffic
