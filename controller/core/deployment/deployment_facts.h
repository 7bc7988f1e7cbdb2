// What is known of a deployment: its row, its sides, and how they do. Thread: the loop thread.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "controller/core/reconcile/pass.h"
#include "controller/core/reconcile/sides.h"

namespace remuda::core {

struct DeploymentFacts {
  std::string group_id;
  std::string id;
  v1::AutoScalingGroup group;
  v1::Deployment row;
  Side old_side;
  Side new_side;
};

// Nullopt if its group is not there.
std::optional<DeploymentFacts> Look(const Pass& pass, const v1::Deployment& row,
                                    std::string_view id);

// Instances of the side that are well as far as anybody knows.
int HealthyOf(const Pass& pass, const DeploymentFacts& facts, const Side& side);

// "only 1 of 4 instances of web:2 are healthy".
std::string OnlyHealthy(const Pass& pass, const DeploymentFacts& facts);

// How a set of instances does against the number that is wanted of it.
struct Condition {
  int healthy = 0;
  int lost = 0;  // of what is missing: what was there and failed, not what was only asked for

  // The rule that aborts a bake: more than half of the desired number is lost.
  bool IsFailing(int desired) const { return 2 * lost > desired; }
};

// What runs the deployment's version.
Condition NewCondition(Pass& pass, const DeploymentFacts& facts);

// What has the traffic while the new instances are launched.
Condition ServingCondition(Pass& pass, const DeploymentFacts& facts);

// Whether the new version, which has all the traffic, does not bear it: then no old instance is
// ended.
bool IsLettingDown(Pass& pass, const DeploymentFacts& facts);

}  // namespace remuda::core
