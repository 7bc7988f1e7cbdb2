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

v1::DeploymentStep Traffic(int percent) {
  v1::DeploymentStep step;
  step.set_traffic(percent);
  return step;
}

v1::DeploymentStep Drain(v1::DeploymentRole role) {
  v1::DeploymentStep step;
  step.mutable_drain()->set_role(role);
  return step;
}

bool HasTraffic(const v1::Deployment& deployment) {
  return std::any_of(deployment.steps().begin(), deployment.steps().end(),
                     [](const v1::DeploymentStep& step) { return step.has_traffic(); });
}

void EnterStepAt(v1::Deployment& deployment, int position, Time now) {
  if (CurrentStep(deployment).has_traffic()) {
    *deployment.mutable_shift_confirmed_time() = ToProto(now);
  }
  deployment.set_current_step(position);
  deployment.clear_promoted();
  deployment.clear_approved();
  deployment.clear_paused_duration();
  deployment.clear_failed_evaluations();
  *deployment.mutable_step_time() = ToProto(now);
  const v1::DeploymentStep& step = CurrentStep(deployment);
  if (step.has_traffic()) deployment.set_traffic_percent(step.traffic());
}

// The step that brings the old side back as this one brings the new.
v1::DeploymentStep Exchanged(const v1::DeploymentStep& step) {
  v1::DeploymentStep out;
  if (step.has_replace()) {
    auto& back = *out.mutable_replace();
    back = step.replace();
    back.set_role(v1::DEPLOYMENT_ROLE_OLD);
    back.clear_percent();
    back.clear_bake();
  } else {
    auto& back = *out.mutable_update();
    back = step.update();
    back.set_role(v1::DEPLOYMENT_ROLE_OLD);
    back.clear_percent();
    back.clear_bake();
  }
  return out;
}

// The way back in place of what had not begun. Before any traffic moved the old set is whole: only
// the new one has to go.
void PlanBack(v1::Deployment& deployment) {
  const bool has_moved = !MovesShares(deployment) || deployment.traffic_percent() > 0;
  Steps back;
  if (MovesShares(deployment)) {
    if (has_moved) back = {Launch(v1::DEPLOYMENT_ROLE_OLD), Traffic(0)};
    back.push_back(Drain(v1::DEPLOYMENT_ROLE_NEW));
  } else if (const auto brings = std::find_if(
                 deployment.steps().begin(), deployment.steps().end(),
                 [](const auto& step) { return step.has_replace() || step.has_update(); });
             brings != deployment.steps().end()) {
    back = {Exchanged(*brings)};
  } else {
    back = {Drain(v1::DEPLOYMENT_ROLE_NEW)};
  }
  deployment.mutable_steps()->DeleteSubrange(deployment.current_step(),
                                             deployment.steps_size() - deployment.current_step());
  for (v1::DeploymentStep& step : back) *deployment.add_steps() = std::move(step);
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
    case StepKind::kPause:
    case StepKind::kApproval:
    case StepKind::kAnalysis:
      return Stage::kHolding;
    case StepKind::kReplace:
      return is_back ? Stage::kBackReplacing : Stage::kReplacing;
    case StepKind::kUpdate:
      return is_back ? Stage::kBackUpdating : Stage::kUpdating;
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
    case Stage::kHolding:
      return "WAITING";
    case Stage::kReplacing:
      return "REPLACING";
    case Stage::kUpdating:
      return "UPDATING";
    case Stage::kDraining:
      return "DRAINING";
    case Stage::kSucceeded:
      return "SUCCEEDED";
    case Stage::kBackLaunching:
      return "ROLLBACK_LAUNCHING";
    case Stage::kBackShifting:
      return "ROLLBACK_SHIFTING";
    case Stage::kBackReplacing:
      return "ROLLBACK_REPLACING";
    case Stage::kBackUpdating:
      return "ROLLBACK_UPDATING";
    case Stage::kBackDraining:
      return "ROLLBACK_DRAINING";
    case Stage::kRolledBack:
      return "ROLLED_BACK";
    case Stage::kFailed:
      break;
  }
  return "FAILED";
}

void BeginSteps(v1::Deployment& deployment, const Steps& steps, Time now) {
  deployment.clear_steps();
  for (const v1::DeploymentStep& step : steps) *deployment.add_steps() = step;
  deployment.set_state(v1::DEPLOYMENT_STATE_IN_PROGRESS);
  deployment.clear_current_step();
  deployment.clear_traffic_percent();
  deployment.clear_shift_confirmed_time();
  if (HasTraffic(deployment)) {
    deployment.set_traffic_percent(0);
  } else {
    *deployment.mutable_shift_confirmed_time() = ToProto(now);
    deployment.set_staying(kAllStay);
  }
  EnterStepAt(deployment, 1, now);
}

void EnterNextStep(v1::Deployment& deployment, Time now) {
  EnterStepAt(deployment, deployment.current_step() + 1, now);
}

bool IsLastStep(const v1::Deployment& deployment) {
  return deployment.current_step() >= deployment.steps_size();
}

void BeginRollback(v1::Deployment& deployment, Time now) {
  PlanBack(deployment);
  deployment.set_state(v1::DEPLOYMENT_STATE_ROLLING_BACK);
  // Counted anew: the side that came goes.
  deployment.clear_coming();
  deployment.set_staying(MovesShares(deployment) ? 0 : kAllStay);
  deployment.clear_paused();
  deployment.clear_pause_time();
  EnterStepAt(deployment, deployment.current_step() + 1, now);
}

void End(v1::Deployment& deployment, v1::DeploymentState state, Time now) {
  deployment.set_state(state);
  deployment.clear_paused();
  deployment.clear_pause_time();
  *deployment.mutable_step_time() = ToProto(now);
  *deployment.mutable_end_time() = ToProto(now);
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
         stage == Stage::kBackReplacing || stage == Stage::kBackUpdating ||
         stage == Stage::kBackDraining;
}

bool MovesShares(const v1::Deployment& deployment) { return deployment.has_traffic_percent(); }

bool KeepsNewSide(const v1::Deployment& deployment) {
  return MovesShares(deployment) && deployment.traffic_percent() == 0;
}

bool KeepsOldSide(const v1::Deployment& deployment) {
  return MovesShares(deployment) && deployment.traffic_percent() == kAllTraffic;
}

int LaunchedPercent(const v1::Deployment& deployment) {
  int percent = IsBackToServing(deployment) ? kAllTraffic : 0;
  for (int i = 0; i < std::min(deployment.current_step(), deployment.steps_size()); ++i) {
    const v1::DeploymentStep& step = deployment.steps(i);
    if (!step.has_launch() || step.launch().role() == v1::DEPLOYMENT_ROLE_OLD) continue;
    percent = step.launch().has_percent() ? step.launch().percent() : kAllTraffic;
  }
  return percent;
}

int PercentOf(int percent, int number) {
  return (percent * number + kAllTraffic - 1) / kAllTraffic;
}

Time StepEnd(const v1::Deployment& deployment, Duration wait) {
  if (deployment.paused()) return absl::InfiniteFuture();
  return FromProto(deployment.step_time()) + FromProto(deployment.paused_duration()) + wait;
}

void Pause(v1::Deployment& deployment, Time now) {
  deployment.set_paused(true);
  *deployment.mutable_pause_time() = ToProto(now);
}

void Resume(v1::Deployment& deployment, Time now) {
  const Duration paused = std::max(
      absl::ZeroDuration(),
      now - std::max(FromProto(deployment.pause_time()), FromProto(deployment.step_time())));
  *deployment.mutable_paused_duration() = ToProto(FromProto(deployment.paused_duration()) + paused);
  deployment.clear_paused();
  deployment.clear_pause_time();
}

bool IsBackToServing(const v1::Deployment& deployment) {
  return !IsShift(deployment) && IsSame(deployment.from(), deployment.to());
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
