// Deployment: the stages of a blue/green deployment. No stage is left before every live proxy has
// confirmed what it did. It begins from whatever serves, be it one version or several, and lowers
// nothing of that before the new instances are confirmed.
//
// LAUNCHING ─► SHIFTING ─► BAKING ─► DRAINING ─► SUCCEEDED
//     │            └───────────┴─────────┴─► ROLLBACK_LAUNCHING ─► ROLLBACK_SHIFTING ─┐
//     └───────────────────────────────────────────────────────► ROLLBACK_DRAINING ◄──┘─►
//     ROLLED_BACK
//
// ROLLBACK_LAUNCHING ends in FAILED when the old version is not ready in time: what serves goes on.
//
// Thread: the loop thread. Pure.
#pragma once

#include <string>
#include <string_view>

#include "controller/core/reconcile/pass.h"

namespace remuda::core {

// The next step of the group's deployment, if it has one and it may take one.
void StepDeployment(Pass& pass, const std::string& group_id);

// The deployment (id) that keeps its old instances, which drain, from being ended, because the new
// version fails; empty if none does.
std::string KeepsOld(Pass& pass, const std::string& group_id);

// What the deployment waits for, for a person; empty if it has ended.
std::string DeploymentWaiting(Pass& pass, const v1::Deployment& deployment,
                              std::string_view deployment_id);

// When it goes on or gives up if nothing else happens; InfiniteFuture if it does neither by time.
Time DeploymentDeadline(const v1::Deployment& deployment);

}  // namespace remuda::core
