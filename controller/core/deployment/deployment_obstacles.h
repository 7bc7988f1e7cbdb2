// What keeps a deployment from its next stage. Thread: the loop thread. Pure.
#pragma once

#include <string>

#include "controller/core/deployment/deployment_facts.h"

namespace remuda::core {

// How many of the new side must be ready for the traffic to move. All, unless what serves is
// failing: then more than serve now are better.
int EnoughToShift(Pass& pass, const DeploymentFacts& facts);

// What keeps the deployment from its next stage; empty: nothing.
std::string Obstacle(Pass& pass, const DeploymentFacts& facts);

// Whether the proxies have said all that they could: they have confirmed the deployment's row, and
// report what they find. If not (after a start of the controller, a pause, a loss of most of them),
// a deadline that is over proves nothing.
bool IsAllSaid(const Pass& pass, const DeploymentFacts& facts);

}  // namespace remuda::core
