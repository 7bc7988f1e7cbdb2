// Apart: instances beside their group's number, by a person's wish: those that stand by, and those
// that leave the group. Thread: the loop thread. Pure.
#pragma once

#include <string>

#include "controller/core/reconcile/pass.h"

namespace remuda::core {

// Nothing is sent any more to one that drains to run on (DrainsToStay): from now on it stands by,
// or belongs to no group.
void StayApart(Pass& pass, const std::string& id, const v1::Instance& row);

// Those that stand by end with their group.
void EndApart(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group);

}  // namespace remuda::core
