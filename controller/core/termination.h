// Termination: from draining to gone. Promise 2: nothing is stopped before every live proxy has
// confirmed that it sends it nothing more, and the requests in flight have ended or had their time.
// Thread: the loop thread. Pure.
#pragma once

#include <string>

#include "controller/core/reconcile_pass.h"

namespace remuda::core {

// Draining instances of the group that may be stopped are; stopping ones that are gone are
// terminated; old history is deleted.
void Terminations(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group);

// Targets registered by hand whose draining is over are deleted.
void DrainedTargets(Pass& pass);

// Deletes activities beyond kActivitiesKept.
void BoundActivities(Pass& pass);

}  // namespace remuda::core
