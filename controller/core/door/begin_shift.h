// Beginning a shift of an action's traffic between two target groups: from what a person wishes to
// a row with its plan, and to a load balancer whose action names both. Pure.
#pragma once

#include <memory>
#include <string>

#include "controller/core/door/begin_deployment.h"
#include "controller/core/door/validate.h"

namespace remuda::core {

// Checks and begins it; `wish` has its strategy and the like as they are given. Answers its id.
absl::StatusOr<std::string> BeginShift(Draft& draft, const FieldPath& at, v1::Deployment wish,
                                       const DeploymentOptions& options, const Context& context);

// After SUCCEEDED: a new shift the other way.
absl::StatusOr<std::string> UndoShift(Draft& draft, const std::string& id,
                                      const v1::Deployment& done, const std::string& cause,
                                      const Context& context);

// As it is, but for its waits: what is undone is undone at once.
v1::DeploymentStrategy WithoutWaits(const v1::DeploymentStrategy& strategy);

// While a shift moves an action's traffic the action, and what the shift added for previews, are
// its own: a violation at `at` if `value` has them otherwise than `before`.
void CheckShiftsKept(Violations& out, const FieldPath& at, const Draft& draft, std::string_view id,
                     const v1::LoadBalancer& before, const v1::LoadBalancer& value);

// A shift of the load balancer that is under way; empty if none is.
std::string ActiveShiftOf(const Draft& draft, std::string_view balancer);

}  // namespace remuda::core
