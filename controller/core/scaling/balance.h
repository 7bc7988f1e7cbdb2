// Balance: brings a group's instances back over its zones after a host's return, one at a time, new
// before old. AWS calls it AZ rebalancing (EC2 Auto Scaling, "Instance distribution").
// Thread: the loop thread. Pure.
#pragma once

#include <string>

#include "controller/core/reconcile/pass.h"
#include "controller/core/reconcile/sides.h"

namespace remuda::core {

// For a side that is as it should be but for its zones: launches an instance where it lacks one, to
// take the place of one in the zone with most (Instance.replaces); that one is drained by
// ConvergeSide when the new one is in service. Only where a zone has at least two more than another
// that has room; only in a pass that balances (Scope.balance), for it looks at every host.
void BalanceZones(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group,
                  const Side& side);

}  // namespace remuda::core
