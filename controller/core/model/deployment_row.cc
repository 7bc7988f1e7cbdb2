#include "controller/core/model/deployment_row.h"

#include <algorithm>

#include "controller/core/model/launch_ref.h"

namespace remuda::core {
namespace {

using StepKind = v1::DeploymentStep::KindCase;

constexpr int kAllTraffic = 100;

v1::DeploymentStep Launch(v1::DeploymentRole role) {
  v1::DeploymentStep step;
  step.mutable_launch()->set_role(role);
  return step;
}

v1::DeploymentStep Shift(int traffic_percent) {
  v1::DeploymentStep step;
  step.set_traffic(traffic_percent);
  return step;
}

v1::DeploymentStep Bake(const google::protobuf::Duration& duration) {
  v1::DeploymentStep step;
  *step.mutable_bake() = duration;
  return step;
}

v1::DeploymentStep Drain(v1::DeploymentRole role) {
  v1::DeploymentStep step;
  step.mutable_drain()->set_role(role);
  return step;
}

// What the strategy does, in order.
void Plan(v1::Deployment& deployment) {
  *deployment.add_steps() = Launch(v1::DEPLOYMENT_ROLE_NEW);
  if (IsBackToServing(deployment)) return;
  *deployment.add_steps() = Shift(kAllTraffic);
  *deployment.add_steps() = Bake(deployment.strategy().blue_green().bake());
  *deployment.add_steps() = Drain(v1::DEPLOYMENT_ROLE_OLD);
}

// The way back in place of what had not begun. Before any traffic moved the old set is whole: only
// the new one has to go.
void PlanBack(v1::Deployment& deployment, Stage first) {
  deployment.mutable_steps()->DeleteSubrange(deployment.current_step(),
                                             deployment.steps_size() - deployment.current_step());
  if (first != Stage::kBackDraining) {
    *deployment.add_steps() = Launch(v1::DEPLOYMENT_ROLE_OLD);
    *deployment.add_steps() = Shift(0);
  }
  *deployment.add_steps() = Drain(v1::DEPLOYMENT_ROLE_NEW);
}

StepKind StepOf(Stage stage) {
  switch (stage) {
    case Stage::kLaunching:
    case Stage::kBackLaunching:
      return StepKind::kLaunch;
    case Stage::kShifting:
    case Stage::kBackShifting:
      return StepKind::kTraffic;
    case Stage::kBaking:
      return StepKind::kBake;
    case Stage::kDraining:
    case Stage::kBackDraining:
      return StepKind::kDrain;
    default:
      return StepKind::KIND_NOT_SET;
  }
}

v1::DeploymentState StateOf(Stage stage) {
  switch (stage) {
    case Stage::kNone:
      return v1::DEPLOYMENT_STATE_UNSPECIFIED;
    case Stage::kSucceeded:
      return v1::DEPLOYMENT_STATE_SUCCEEDED;
    case Stage::kRolledBack:
      return v1::DEPLOYMENT_STATE_ROLLED_BACK;
    case Stage::kFailed:
      return v1::DEPLOYMENT_STATE_FAILED;
    default:
      return IsRollback(stage) ? v1::DEPLOYMENT_STATE_ROLLING_BACK
                               : v1::DEPLOYMENT_STATE_IN_PROGRESS;
  }
}

// Position, from 1, of the next step of the kind, the current one included; else of the first.
int PositionOf(const v1::Deployment& deployment, StepKind kind) {
  const int from = std::max(0, deployment.current_step() - 1);
  for (int i = from; i < deployment.steps_size(); ++i) {
    if (deployment.steps(i).kind_case() == kind) return i + 1;
  }
  for (int i = 0; i < from; ++i) {
    if (deployment.steps(i).kind_case() == kind) return i + 1;
  }
  return deployment.current_step();
}

}  // namespace

Stage StageOf(const v1::Deployment& deployment) {
  switch (deployment.state()) {
    case v1::DEPLOYMENT_STATE_SUCCEEDED:
      return Stage::kSucceeded;
    case v1::DEPLOYMENT_STATE_ROLLED_BACK:
      return Stage::kRolledBack;
    case v1::DEPLOYMENT_STATE_FAILED:
      return Stage::kFailed;
    case v1::DEPLOYMENT_STATE_IN_PROGRESS:
    case v1::DEPLOYMENT_STATE_ROLLING_BACK:
      break;
    default:
      return Stage::kNone;
  }
  const bool is_back = deployment.state() == v1::DEPLOYMENT_STATE_ROLLING_BACK;
  switch (CurrentStep(deployment).kind_case()) {
    case StepKind::kLaunch:
      return is_back ? Stage::kBackLaunching : Stage::kLaunching;
    case StepKind::kTraffic:
      return is_back ? Stage::kBackShifting : Stage::kShifting;
    case StepKind::kBake:
      return Stage::kBaking;
    case StepKind::kDrain:
      return is_back ? Stage::kBackDraining : Stage::kDraining;
    case StepKind::KIND_NOT_SET:
      break;
  }
  return Stage::kNone;
}

const char* StageText(Stage stage) {
  switch (stage) {
    case Stage::kNone:
      return "UNSPECIFIED";
    case Stage::kLaunching:
      return "LAUNCHING";
    case Stage::kShifting:
      return "SHIFTING";
    case Stage::kBaking:
      return "BAKING";
    case Stage::kDraining:
      return "DRAINING";
    case Stage::kSucceeded:
      return "SUCCEEDED";
    case Stage::kBackLaunching:
      return "ROLLBACK_LAUNCHING";
    case Stage::kBackShifting:
      return "ROLLBACK_SHIFTING";
    case Stage::kBackDraining:
      return "ROLLBACK_DRAINING";
    case Stage::kRolledBack:
      return "ROLLED_BACK";
    case Stage::kFailed:
      break;
  }
  return "FAILED";
}

void SetStage(v1::Deployment& deployment, Stage stage) {
  if (deployment.steps().empty() || stage == Stage::kLaunching) {
    deployment.clear_steps();
    Plan(deployment);
    deployment.set_current_step(1);
  }
  if (IsRollback(stage) && !IsRollback(StageOf(deployment))) {
    PlanBack(deployment, stage);
    deployment.set_current_step(deployment.current_step() + 1);
  }
  deployment.set_state(StateOf(stage));
  if (const StepKind kind = StepOf(stage); kind != StepKind::KIND_NOT_SET) {
    deployment.set_current_step(PositionOf(deployment, kind));
  }
}

void EnterStage(v1::Deployment& deployment, Stage stage, Time now) {
  SetStage(deployment, stage);
  *deployment.mutable_step_time() = ToProto(now);
  if (stage == Stage::kBaking) *deployment.mutable_shift_confirmed_time() = ToProto(now);
  if (HasEnded(stage)) *deployment.mutable_end_time() = ToProto(now);
}

const v1::DeploymentStep& CurrentStep(const v1::Deployment& deployment) {
  const int position = deployment.current_step();
  if (position < 1 || position > deployment.steps_size())
    return v1::DeploymentStep::default_instance();
  return deployment.steps(position - 1);
}

bool HasEnded(Stage stage) {
  return stage == Stage::kSucceeded || stage == Stage::kRolledBack || stage == Stage::kFailed;
}

bool IsRollback(Stage stage) {
  return stage == Stage::kBackLaunching || stage == Stage::kBackShifting ||
         stage == Stage::kBackDraining;
}

bool ServesNewSide(Stage stage) {
  return stage == Stage::kShifting || stage == Stage::kBaking || stage == Stage::kDraining ||
         stage == Stage::kBackLaunching;
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
    if (HasEnded(StageOf(*row))) continue;
    if (id != nullptr) *id = key;
    return row;
  }
  return nullptr;
}

}  // namespace remuda::core
