// Deployment: the driver of all of them. It asks the current step whether it is over, opens no gate
// before every live proxy has confirmed what was done, and writes each step it enters. It knows
// nothing of strategies: those are lists of steps (plan.h), and what is moved is a Subject.
//
// step ─► step ─► … ─► SUCCEEDED
//   └──────┴───────┴─► the same plan with the sides exchanged ─► ROLLED_BACK, or FAILED: the old
//                      version is not ready in time, and what serves goes on.
//
// It begins from whatever serves, be it one version or several, and lowers nothing of that before
// what comes in its place is confirmed. Thread: the loop thread. Pure.
#pragma once

#include <string>
#include <string_view>

#include "controller/core/reconcile/pass.h"

namespace remuda::core {

// The next step of the group's deployment, if it has one and it may take one.
void StepDeployment(Pass& pass, const std::string& group_id);

// The next step of a shift, if it is under way and may take one. Whether it is under way.
bool StepShift(Pass& pass, const std::string& id);

// The deployment (id) that keeps its old instances, which drain, from being ended, because the new
// version fails; empty if none does.
std::string KeepsOld(Pass& pass, const std::string& group_id);

// What the deployment waits for, for a person; empty if it has ended.
std::string DeploymentWaiting(Pass& pass, const v1::Deployment& deployment,
                              std::string_view deployment_id);

// When it goes on or gives up if nothing else happens; InfiniteFuture if it does neither by time.
Time DeploymentDeadline(Pass& pass, const v1::Deployment& deployment,
                        std::string_view deployment_id);

}  // namespace remuda::core
