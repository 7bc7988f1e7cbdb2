// Checks and compiles the rules of a listener: conditions and actions. Used by the config check
// alone.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "proxy/core/fault.h"
#include "proxy/core/routing_table.h"
#include "remuda/proxy/v1/config.pb.h"

namespace remuda::proxy {

// Finds the state of a target group by id; null if the config has none.
using GroupLookup = std::function<std::shared_ptr<GroupState>(const std::string& id)>;

// Sets out.rules: by priority, the default last.
Fault CompileRules(const remuda::v1::Listener& config, const GroupLookup& groups,
                   ListenerSpec& out);

}  // namespace remuda::proxy
