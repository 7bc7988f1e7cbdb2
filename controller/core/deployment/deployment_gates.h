// What a deployment's steps look at: how its sides do, what keeps it from its next stage, and
// whether it fails. Thread: the loop thread. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "controller/core/reconcile/pass.h"
#include "controller/core/reconcile/sides.h"

namespace remuda::core {

// A group's deployment with what its gates look at.
struct DeploymentView {
  std::string group_id;
  std::string id;
  v1::AutoScalingGroup group;
  v1::Deployment row;
  Side old_side;
  Side new_side;
};

// Nullopt if its group is not there.
std::optional<DeploymentView> Look(const Pass& pass, const v1::Deployment& row,
                                   std::string_view id);

// Instances of the side that are well as far as anybody knows.
int HealthyOf(const Pass& pass, const DeploymentView& view, const Side& side);

// How many of the new side must be ready for the traffic to move. All, unless what serves is
// failing: then more than serve now are better.
int EnoughToShift(Pass& pass, const DeploymentView& view);

// What keeps the deployment from its next stage; empty: nothing.
std::string Obstacle(Pass& pass, const DeploymentView& view);

// Whether the proxies have said all that they could: they have confirmed the deployment's row, and
// report what they find. If not (after a start of the controller, a pause, a loss of most of them),
// a deadline that is over proves nothing.
bool IsAllSaid(const Pass& pass, const DeploymentView& view);

// Why it should be rolled back without being asked; empty if not.
std::string Failure(Pass& pass, const DeploymentView& view);

// Whether a rollback can take the old instance back: it drains for the deployment, and still runs.
bool CanBeTakenBack(const Pass& pass, const Member& member);

// Whether the new version, which has all the traffic, does not bear it: then no old instance is
// ended.
bool IsLettingDown(Pass& pass, const DeploymentView& view);

}  // namespace remuda::core
