// Makes the group's capacity as its policies have decided: at their times, for requests that wait
// for a group at rest, and by the newest evaluation. Thread: the loop thread. Pure.
#pragma once

#include <string>

#include "controller/core/reconcile/pass.h"

namespace remuda::core {

// Edits AutoScalingGroup.capacity, with an activity that says why.
void FollowPolicies(Pass& pass, const std::string& group_id);

// The scheduled policies' part of it.
void FollowSchedules(Pass& pass, const std::string& group_id);

// Whether a deployment of the group is under way that does more than to end what it has left.
bool IsMoving(const Draft& draft, const std::string& group_id);

// Writes the capacity; tells of it if how many are wanted has changed.
void PutCapacity(Pass& pass, const std::string& group_id, v1::AutoScalingGroup after);

}  // namespace remuda::core
