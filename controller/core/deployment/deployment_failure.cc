#include "controller/core/deployment/deployment_failure.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/core/deployment/deployment_obstacles.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/words.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/reconcile/launch_failures.h"
#include "controller/core/reconcile/limits.h"

namespace remuda::core {
namespace {

// Whether the deployment is where a failure of the new version leads back. When nothing is left to
// go back to, it leads nowhere.
bool MayFail(const Pass& pass, const DeploymentFacts& facts) {
  switch (StageOf(facts.row)) {
    case Stage::kLaunching:
    case Stage::kShifting:
    case Stage::kBaking:
      return true;
    case Stage::kDraining:
      return std::any_of(facts.old_side.members.begin(), facts.old_side.members.end(),
                         [&](const Member& member) { return CanBeTakenBack(pass, member); });
    default:
      return false;
  }
}

}  // namespace

bool CanBeTakenBack(const Pass& pass, const Member& member) {
  const auto& [id, row] = member;
  return row->state() == v1::INSTANCE_STATE_DRAINING && !row->unhealthy() && IsWithheld(*row) &&
         !row->terminate_requested() && ProcessOf(pass.seen, id, *row).process == Process::kRunning;
}

std::string Failure(Pass& pass, const DeploymentFacts& facts) {
  const Stage stage = StageOf(facts.row);
  if (!MayFail(pass, facts)) return "";
  const LaunchRecord record = LaunchRecordOf(pass.draft.InstancesOfGroup(facts.group_id).list(),
                                             facts.row.to(), facts.id, pass.now);
  const int healthy = HealthyOf(pass, facts, facts.new_side);
  if (record.failures >= std::max(kDeploymentLaunchFailures, healthy)) {
    return FailuresText(record, facts.row.to());
  }
  if (stage == Stage::kLaunching || stage == Stage::kShifting) {
    const Time deadline =
        FromProto(facts.row.create_time()) + FromProto(facts.row.health_deadline());
    pass.DueAt(deadline);
    if (pass.now >= deadline && (IsAllSaid(pass, facts) || !pass.gates.Refusal().empty())) {
      if (const std::string obstacle = Obstacle(pass, facts); !obstacle.empty()) {
        return absl::StrCat("not in service and confirmed within ",
                            DurationText(FromProto(facts.row.health_deadline())), ": ", obstacle);
      }
    }
  }
  if (stage == Stage::kLaunching) return "";
  if (NewCondition(pass, facts).IsFailing(facts.new_side.desired)) {
    return OnlyHealthy(pass, facts);
  }
  return "";
}

}  // namespace remuda::core
