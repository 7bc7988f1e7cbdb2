// How many instances a group is to have: what people and policies have set, apart from what a
// person wrote last (AutoScalingGroup.desired), so that neither undoes the other. Pure functions of
// the row.
#pragma once

#include <string>

#include "controller/core/model/time.h"
#include "remuda/v1/auto_scaling.pb.h"

namespace remuda::core {

// The bounds in force: a scheduled policy's where it has set them, else the person's.
int MinOf(const v1::AutoScalingGroup& group);
int MaxOf(const v1::AutoScalingGroup& group);

// How many are wanted, within the bounds; 0 for a group that is being deleted.
int DesiredOf(const v1::AutoScalingGroup& group);

// A person wants so many: also what is written of the group, as far as its own bounds go.
void SetDesired(v1::AutoScalingGroup& group, int desired, const std::string& cause, Time now);

// A policy wants so many, brought within the bounds.
struct PolicyWish {
  std::string policy;
  int desired = 0;
  std::string cause;
};
void SetByPolicy(v1::AutoScalingGroup& group, const PolicyWish& wish, Time now);

// The row as a person has written it takes the capacity of the one before over (null: it is new):
// what the person changed of desired, min and max holds from now on, the rest stays as policies
// have set it.
void KeepCapacity(const v1::AutoScalingGroup* before, v1::AutoScalingGroup& group, Time now);

// Whether the process is suspended.
bool IsSuspended(const v1::AutoScalingGroup& group, v1::ScalingProcess process);
// "LAUNCH is suspended: moving the racks"; empty if it is not.
std::string SuspendedText(const v1::AutoScalingGroup& group, v1::ScalingProcess process);

// Whether it was launched while the group's new instances are not registered in target groups
// (SCALING_PROCESS_ADD_TO_LOAD_BALANCER).
bool IsKeptFromBalancer(const v1::AutoScalingGroup& group, const v1::Instance& instance);

}  // namespace remuda::core
