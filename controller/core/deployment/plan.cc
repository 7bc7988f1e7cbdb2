#include "controller/core/deployment/plan.h"

#include <algorithm>

namespace remuda::core {
namespace {

using google::protobuf::Duration;
using v1::DeploymentStep;

constexpr int kAll = 100;

DeploymentStep Launch(int percent) {
  DeploymentStep step;
  step.mutable_launch()->set_role(v1::DEPLOYMENT_ROLE_NEW);
  if (percent < kAll) step.mutable_launch()->set_percent(percent);
  return step;
}

DeploymentStep Traffic(int percent) {
  DeploymentStep step;
  step.set_traffic(percent);
  return step;
}

DeploymentStep Pause(const Duration& duration) {
  DeploymentStep step;
  *step.mutable_pause() = duration;
  return step;
}

// What every plan that moves shares ends with.
void AddEnd(const Duration& bake, Steps& steps) {
  steps.push_back(Launch(kAll));
  steps.push_back(Traffic(kAll));
  steps.emplace_back();
  *steps.back().mutable_bake() = bake;
  steps.emplace_back();
  steps.back().mutable_drain()->set_role(v1::DEPLOYMENT_ROLE_OLD);
}

Steps BlueGreen(const v1::BlueGreenStrategy& strategy) {
  Steps steps;
  AddEnd(strategy.bake(), steps);
  return steps;
}

Steps Canary(const v1::CanaryStrategy& strategy) {
  Steps steps = {Launch(strategy.percent()), Traffic(strategy.percent()),
                 Pause(strategy.interval())};
  AddEnd(strategy.bake(), steps);
  return steps;
}

Steps Linear(const v1::LinearStrategy& strategy) {
  Steps steps;
  for (int percent = strategy.step_percent(); percent < kAll; percent += strategy.step_percent()) {
    steps.push_back(Launch(percent));
    steps.push_back(Traffic(percent));
    steps.push_back(Pause(strategy.interval()));
  }
  AddEnd(strategy.bake(), steps);
  return steps;
}

// Fills what a replace step leaves out.
void Complete(v1::ReplaceStep& step, bool terminate_first) {
  step.set_role(v1::DEPLOYMENT_ROLE_NEW);
  if (!step.has_percent()) step.set_percent(kAll);
  if (!step.has_min_healthy_percent()) step.set_min_healthy_percent(kMinHealthyPercent);
  if (!step.has_max_percent()) step.set_max_percent(kMaxPercent);
  step.set_terminate_first(terminate_first || step.max_percent() == kAll);
}

void Complete(v1::UpdateStep& step) {
  step.set_role(v1::DEPLOYMENT_ROLE_NEW);
  if (!step.has_percent()) step.set_percent(kAll);
  if (!step.has_min_healthy_percent()) step.set_min_healthy_percent(kMinHealthyPercent);
}

Steps Rolling(const v1::RollingStrategy& strategy, bool terminate_first) {
  Steps steps;
  const auto add = [&](int percent) {
    steps.emplace_back();
    v1::ReplaceStep& step = *steps.back().mutable_replace();
    step.set_percent(percent);
    if (strategy.has_min_healthy_percent())
      step.set_min_healthy_percent(strategy.min_healthy_percent());
    if (strategy.has_max_percent()) step.set_max_percent(strategy.max_percent());
    if (strategy.has_bake()) *step.mutable_bake() = strategy.bake();
    Complete(step, terminate_first);
  };
  for (const int percent : strategy.checkpoint_percents()) {
    add(percent);
    steps.push_back(Pause(strategy.checkpoint_delay()));
  }
  add(kAll);
  return steps;
}

Steps InPlace(const v1::InPlaceStrategy& strategy) {
  Steps steps(1);
  v1::UpdateStep& step = *steps[0].mutable_update();
  if (strategy.has_min_healthy_percent())
    step.set_min_healthy_percent(strategy.min_healthy_percent());
  if (strategy.has_bake()) *step.mutable_bake() = strategy.bake();
  Complete(step);
  return steps;
}

// As a person wrote them, and what is missing.
Steps Written(const google::protobuf::RepeatedPtrField<DeploymentStep>& wish,
              bool terminate_first) {
  Steps steps;
  int launched = 0;
  int share = 0;
  bool moves_shares = true;
  int replaced = 0;
  for (DeploymentStep step : wish) {
    if (step.has_launch()) {
      step.mutable_launch()->set_role(v1::DEPLOYMENT_ROLE_NEW);
      launched = step.launch().has_percent() ? step.launch().percent() : kAll;
    }
    if (step.has_traffic()) {
      share = step.traffic();
      if (launched < share) steps.push_back(Launch(share));
      launched = std::max(launched, share);
    }
    if (step.has_approval() && step.approval().name().empty()) {
      step.mutable_approval()->set_name("approval");
    }
    if (step.has_replace()) {
      Complete(*step.mutable_replace(), terminate_first);
      replaced = step.replace().percent();
    }
    if (step.has_update()) {
      Complete(*step.mutable_update());
      replaced = step.update().percent();
    }
    moves_shares = moves_shares && !step.has_replace() && !step.has_update();
    steps.push_back(std::move(step));
  }
  if (!moves_shares) {
    if (replaced == kAll) return steps;
    // The rest as the last one that is written.
    const auto last = std::find_if(steps.rbegin(), steps.rend(), [](const DeploymentStep& step) {
      return step.has_replace() || step.has_update();
    });
    DeploymentStep rest = *last;
    if (rest.has_replace()) rest.mutable_replace()->set_percent(kAll);
    if (rest.has_update()) rest.mutable_update()->set_percent(kAll);
    steps.push_back(std::move(rest));
    return steps;
  }
  if (launched < kAll) steps.push_back(Launch(kAll));
  if (share < kAll) steps.push_back(Traffic(kAll));
  steps.emplace_back();
  steps.back().mutable_drain()->set_role(v1::DEPLOYMENT_ROLE_OLD);
  return steps;
}

}  // namespace

Steps PlanOf(const v1::Deployment& deployment, bool terminate_first) {
  if (IsBackToServing(deployment)) return {Launch(kAll)};
  const v1::DeploymentStrategy& strategy = deployment.strategy();
  if (!strategy.steps().empty()) return Written(strategy.steps(), terminate_first);
  switch (strategy.kind_case()) {
    case v1::DeploymentStrategy::kRolling:
      return Rolling(strategy.rolling(), terminate_first);
    case v1::DeploymentStrategy::kInPlace:
      return InPlace(strategy.in_place());
    case v1::DeploymentStrategy::kCanary:
      return Canary(strategy.canary());
    case v1::DeploymentStrategy::kLinear:
      return Linear(strategy.linear());
    case v1::DeploymentStrategy::kBlueGreen:
    case v1::DeploymentStrategy::KIND_NOT_SET:
      break;
  }
  return BlueGreen(strategy.blue_green());
}

}  // namespace remuda::core
