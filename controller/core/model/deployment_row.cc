#include "controller/core/model/deployment_row.h"

#include "controller/core/model/launch_ref.h"

namespace remuda::core {

bool HasEnded(v1::DeploymentPhase phase) {
  return phase == v1::DEPLOYMENT_PHASE_SUCCEEDED || phase == v1::DEPLOYMENT_PHASE_ROLLED_BACK ||
         phase == v1::DEPLOYMENT_PHASE_FAILED;
}

bool ServesNewSide(v1::DeploymentPhase phase) {
  return phase == v1::DEPLOYMENT_PHASE_SHIFTING || phase == v1::DEPLOYMENT_PHASE_BAKING ||
         phase == v1::DEPLOYMENT_PHASE_DRAINING || phase == v1::DEPLOYMENT_PHASE_ROLLBACK_LAUNCHING;
}

bool IsBackToServing(const v1::Deployment& deployment) {
  return IsSame(deployment.from(), deployment.to());
}

std::vector<std::string> DeploymentsOf(const Draft& draft, std::string_view group) {
  const std::string prefix = std::string(group) + "-";
  std::vector<std::string> ids;
  draft.ForEachFrom<v1::Deployment>(prefix, [&](const std::string& key, const v1::Deployment& row) {
    if (!key.starts_with(prefix)) return false;
    // "blue-" is also the beginning of the deployments of a group "blue-2".
    if (row.auto_scaling_group() == group) ids.push_back(key);
    return true;
  });
  return ids;
}

std::shared_ptr<const v1::Deployment> ActiveDeployment(const Draft& draft, std::string_view group,
                                                       std::string* id) {
  for (const std::string& key : DeploymentsOf(draft, group)) {
    auto row = draft.Find<v1::Deployment>(key);
    if (HasEnded(row->phase())) continue;
    if (id != nullptr) *id = key;
    return row;
  }
  return nullptr;
}

}  // namespace remuda::core
