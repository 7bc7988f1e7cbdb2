// Evaluate: what all policies of a group want together, and what was decided. Called once a period,
// after the values of it are folded.
//
// Owns: how policies are put together, which evaluations are kept. Does not own: making the
// capacity so (scaling/follow_policies.h). Thread: the loop thread. Pure.
#pragma once

#include <set>
#include <string>

#include "controller/core/model/observations.h"
#include "controller/core/model/state.h"

namespace remuda::core {

// Evaluates the policies of each group whose history has a point that was not evaluated yet.
// Answers the groups for which another capacity was decided. Costs O(1) a group and policy.
std::set<std::string> EvaluateGroups(const State& state, Observations& seen, Time now);

// A decision counts for so long: after it another one, or the loss of all values, has taken its
// place.
Duration DecisionHolds(Duration period);

}  // namespace remuda::core
