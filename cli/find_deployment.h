// Which deployment a word of the command line means, and which action of a load balancer.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "cli/controller_client.h"
#include "cli/kinds.h"
#include "cli/resources.h"

namespace remuda::cli {

// A listener (its default action) or a rule: `lb/shop/8080`, `shop/8080/10`, `rule/shop/8080/10`,
// or their full names. Pure.
absl::StatusOr<ResourceRef> ParseAction(std::string_view word);

// What deployments are asked for by: a deployment `blue-3`; a group `asg/blue`; of shifts
// `lb/shop`, or one of its actions `lb/shop/8080`. Of a bare word that may be either, a deployment.
// Pure.
absl::StatusOr<ResourceRef> ParseDeploymentScope(std::string_view word);
// Whether a bare word may be a deployment's name: those end in a number.
bool MayNameDeployment(std::string_view word);

// Deployments of a group, a load balancer or an action, the newest first.
absl::StatusOr<ResourceList> ListDeploymentsOf(const ControllerClient& client,
                                               const ResourceRef& scope, size_t limit);

enum class Which {
  kNewest,    // also one that has ended
  kUnderWay,  // else FAILED_PRECONDITION says how the last one ended
};
// Full name of the deployment that `word` names: itself; or of a group, load balancer or action the
// one under way, else the newest. Where several shifts of a load balancer are under way,
// INVALID_ARGUMENT lists them.
absl::StatusOr<std::string> FindDeployment(const ControllerClient& client, const std::string& word,
                                           Which which);

}  // namespace remuda::cli
