// What the two sides of a deployment got of the traffic. Pure. Thread: the loop thread.
#pragma once

#include "controller/core/model/draft.h"
#include "controller/core/model/observations.h"

namespace remuda::core {

struct SideTraffic {
  v1::SideCounts old_side;
  v1::SideCounts new_side;
};

// Since the controller began. Of a group's deployment the new side is the subset of its version in
// the group's target groups, the old side all other subsets of the group there; of a shift a side
// is a whole target group. Subsets that were merged because a target group had too many are of no
// side.
SideTraffic TrafficOf(const Draft& draft, const Observations& seen,
                      const v1::Deployment& deployment);

// Since the current share was confirmed (shift_confirmed_time): what is beyond old_base and
// new_base, or, where those are of an earlier controller, since this one began. Nothing while no
// share is confirmed.
SideTraffic TrafficSinceShare(const Draft& draft, const Observations& seen,
                              const v1::Deployment& deployment);

// Requests, errors and latencies as `side` shows them.
void ShowTraffic(const v1::SideCounts& counts, v1::DeploymentSide& side);

}  // namespace remuda::core
