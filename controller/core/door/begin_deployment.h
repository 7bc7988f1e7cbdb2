// Beginning a deployment: from what a person wishes to a row with its plan. Pure.
#pragma once

#include <optional>
#include <string>

#include "controller/core/door/execute.h"
#include "controller/core/door/rows.h"

namespace remuda::core {

// An activity of the deployment's group or load balancer.
void NoteDeployment(Draft& draft, const Context& context, const std::string& id,
                    const v1::Deployment& value, std::string description, std::string cause);

struct DeploymentOptions {
  bool supersede = false;      // ends the one under way, and begins from what serves then
  bool refuse_failed = false;  // nothing has changed since the version was deployed last
  std::string cause = "a person asked for it";
};

// What the group's settings say where the wish says nothing, and defaults where they do not either.
void CompleteWish(const v1::AutoScalingGroup& group, v1::Deployment& wish);

// Begins what is wished: `wish` is complete and checked, `to` is resolved. Answers its id.
absl::StatusOr<std::string> BeginDeployment(Draft& draft, const std::string& group_id,
                                            v1::Deployment wish, const DeploymentOptions& options,
                                            const Context& context);

// After SUCCEEDED: a new deployment the other way.
absl::StatusOr<v1::Deployment> UndoDeployment(Draft& draft, const Row<v1::Deployment>& row,
                                              const std::string& cause, const Context& context);

}  // namespace remuda::core
