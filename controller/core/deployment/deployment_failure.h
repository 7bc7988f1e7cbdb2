// Whether a deployment fails, and what can be undone of it then. Thread: the loop thread. Pure.
#pragma once

#include <string>

#include "controller/core/deployment/deployment_facts.h"

namespace remuda::core {

// Why it should be rolled back without being asked; empty if not.
std::string Failure(Pass& pass, const DeploymentFacts& facts);

// Whether a rollback can take the old instance back: it drains for the deployment, and still runs.
bool CanBeTakenBack(const Pass& pass, const Member& member);

}  // namespace remuda::core
