// Termination: from draining to gone. Promise 2: nothing is stopped before every live proxy has
// confirmed that it sends it nothing more, and the requests in flight have ended or had their time.
// Thread: the loop thread. Pure.
#pragma once

#include <string>

#include "controller/core/reconcile/pass.h"

namespace remuda::core {

// Draining instances of the group that may be stopped are; stopping ones that are gone are
// terminated; old history is deleted. `waits_for_room`: a launch of this round could not be made.
void Terminations(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group,
                  bool waits_for_room);

// Whether the instance, which drains, is left running because the proxies that may still send to it
// fell silent together (Gates::Silenced): only they could say that they do not. One that fails
// serves nobody, and one of a group that is being deleted shall not.
bool IsKeptBySilence(const Pass& pass, const v1::AutoScalingGroup& group, const v1::Instance& row);

// Whether one that has drained may be stopped: no proxy that came back since sends to it, nothing
// is in flight that still has time, and silence does not keep it.
bool MayStop(Pass& pass, const std::string& id, const v1::AutoScalingGroup& group,
             const v1::Instance& row);

// Targets registered by hand whose draining is over are deleted.
void DrainedTargets(Pass& pass);

// Deletes activities beyond kActivitiesKept.
void BoundActivities(Pass& pass);

}  // namespace remuda::core
