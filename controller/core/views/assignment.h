// What a host's agent shall make so, from state and observations. Pure.
//
// Thread: the loop thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "controller/core/model/observations.h"
#include "controller/core/model/state.h"
#include "remuda/agent/v1/agent.pb.h"

namespace remuda::core {

// The instances that a host shall have, by id. Instances that the host reports and the state does
// not know are STOPPED ones.
using Assignment = std::map<std::string, agent::v1::InstanceAssignment, std::less<>>;
Assignment AssignmentFor(const State& state, const Observations& seen, std::string_view host);

}  // namespace remuda::core
