// Checks and compiles what a rule does. Used by the rule check alone.
#pragma once

#include "proxy/core/fault.h"
#include "proxy/core/rule.h"
#include "proxy/core/rule_check.h"

namespace remuda::proxy {

// `listener`: whose rule it is; its protocol and port decide what a redirect may say.
Fault CompileAction(const remuda::v1::Action& config, const remuda::v1::Listener& listener,
                    const GroupLookup& groups, RuleAction& out);

}  // namespace remuda::proxy
