// Which instances of a group end first. Thread: the loop thread. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "controller/core/model/draft.h"
#include "controller/core/reconcile/gates.h"

namespace remuda::core {

// The instances to end when `count` of `members` are too many, best first: those that serve least,
// also by the proxies' word, then from the zone with most, then by the group's termination
// policies.
std::vector<std::string> ChooseVictims(const Gates& gates, const v1::AutoScalingGroup& group,
                                       InstanceList members, size_t count);

// Those that scale-in may choose.
InstanceList Unprotected(const InstanceList& members);

}  // namespace remuda::core
