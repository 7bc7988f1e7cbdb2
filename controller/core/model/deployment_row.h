// What a deployment is to its group, as far as its row says. Pure functions. What it does next:
// deployment/deployment.h.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/model/draft.h"

namespace remuda::core {

// Whether a deployment in this phase is over.
bool HasEnded(v1::DeploymentPhase phase);

// Whether the phase gives the traffic to the new side.
bool ServesNewSide(v1::DeploymentPhase phase);

// Whether it only ends another deployment: nothing but its version serves, so it moves no traffic.
// It has ended once every live proxy finds its instances healthy, and if it fails, all stays.
bool IsBackToServing(const v1::Deployment& deployment);

// The deployment of the group that has not ended; null if there is none. `id` (may be null) gets
// its id.
std::shared_ptr<const v1::Deployment> ActiveDeployment(const Draft& draft, std::string_view group,
                                                       std::string* id);

// Ids of all deployments of the group.
std::vector<std::string> DeploymentsOf(const Draft& draft, std::string_view group);

}  // namespace remuda::core
