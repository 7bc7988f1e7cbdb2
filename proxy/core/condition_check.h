// Checks and compiles one condition of a rule. Used by the rule check alone.
#pragma once

#include "proxy/core/fault.h"
#include "proxy/core/rule.h"
#include "remuda/v1/load_balancer.pb.h"

namespace remuda::proxy {

Fault CompileCondition(const remuda::v1::Condition& config, Condition& out);

}  // namespace remuda::proxy
