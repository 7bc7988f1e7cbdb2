// Lifetime: which instance is the next to be replaced for its age. Thread: the loop thread. Pure.
#pragma once

#include <string>
#include <string_view>

#include "controller/core/reconcile/pass.h"
#include "controller/core/reconcile/sides.h"

namespace remuda::core {

// When it is to be replaced for its age; never while what that takes is suspended.
Time AgedAt(const v1::AutoScalingGroup& group, const v1::Instance& row);

// The oldest of the side that is older than the group's max_instance_lifetime: it is replaced as
// one on a drained host is, and the next one after it. Empty: none is, or now is not the time: a
// deployment is under way, or what it takes is suspended.
std::string OverAged(Pass& pass, const v1::AutoScalingGroup& group, const Side& side,
                     std::string_view deployment);

}  // namespace remuda::core
