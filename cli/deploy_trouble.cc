#include "cli/deploy_trouble.h"

#include <ostream>
#include <string>
#include <vector>

#include "cli/deploy_progress.h"
#include "cli/kinds.h"
#include "cli/resources.h"

namespace remuda::cli {
namespace {

// Activities of the group that are looked through, from the newest.
constexpr size_t kSearchedActivities = 1000;

ListFilter OfGroup(const v1::Deployment& deployment) {
  ListFilter filter;
  filter.of = FullName(KindId::kAutoScalingGroup, deployment.auto_scaling_group());
  return filter;
}

std::string LogTailOf(const ControllerClient& client, const v1::Deployment& deployment,
                      const std::string& instance) {
  ListFilter filter = OfGroup(deployment);
  filter.limit = kSearchedActivities;
  const auto activities = ListResources(client, KindId::kActivity, filter);
  if (!activities.ok()) return "";
  for (const auto& resource : *activities) {
    const auto& activity = static_cast<const v1::Activity&>(*resource);
    if (activity.instance() == instance && !activity.log_tail().empty()) return activity.log_tail();
  }
  return "";
}

}  // namespace

void PrintTrouble(Context& context, const ControllerClient& client,
                  const v1::Deployment& deployment) {
  ListFilter filter = OfGroup(deployment);
  filter.show_terminated = true;
  const auto resources = ListResources(client, KindId::kInstance, filter);
  if (!resources.ok()) return;
  std::vector<const v1::Instance*> instances;
  for (const auto& resource : *resources)
    instances.push_back(static_cast<const v1::Instance*>(resource.get()));
  const v1::Instance* culprit = Culprit(deployment, instances);
  if (culprit == nullptr) return;
  const std::string tail = LogTailOf(client, deployment, ShortId(culprit->name()));
  for (const std::string& line : TroubleLines(*culprit, tail)) context.out << line << "\n";
  context.out.flush();
}

}  // namespace remuda::cli
