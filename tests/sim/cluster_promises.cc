// What every strategy promises in the simulated cluster: floors, ceilings, shares, gates, and what
// a rollback comes to. Its arithmetic is its own, from the words of deployment_step.proto.
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/reconcile/sides.h"
#include "tests/sim/cluster.h"

namespace remuda::sim {
namespace {

constexpr int kWhole = 100;

int RoundedUp(int percent, int number) { return (percent * number + kWhole - 1) / kWhole; }

// The replace or update step that is under way, or was last; null if none has begun.
const v1::DeploymentStep* ReplacesNow(const v1::Deployment& row) {
  for (int i = std::min(row.current_step(), row.steps_size()); i >= 1; --i) {
    const v1::DeploymentStep& step = row.steps(i - 1);
    if (step.has_replace() || step.has_update()) return &step;
  }
  return nullptr;
}

int PercentOfStep(const v1::DeploymentStep& step) {
  if (step.has_launch()) return step.launch().has_percent() ? step.launch().percent() : kWhole;
  if (step.has_replace()) return step.replace().has_percent() ? step.replace().percent() : kWhole;
  return step.update().has_percent() ? step.update().percent() : kWhole;
}

bool IsSuperseded(const v1::Deployment& row) {
  return row.rollback_reason().starts_with("superseded");
}

bool IsGone(const v1::Instance& row) { return row.state() == v1::INSTANCE_STATE_TERMINATED; }

// What the split gives to the new version and to all others.
struct Weights {
  int of_new = 0;
  int of_old = 0;
  int largest = 0;
};

Weights WeightsOf(const core::TargetGroupView& view, const std::string& new_subset) {
  Weights out;
  if (!view.split.has_value()) return out;
  for (const auto& subset : view.split->subsets()) {
    (subset.subset() == new_subset ? out.of_new : out.of_old) += subset.weight();
    out.largest = std::max(out.largest, subset.weight());
  }
  return out;
}

std::string NewSubset(const v1::Deployment& row) { return "blue/" + core::TextOf(row.to()); }

}  // namespace

// A step of a deployment that a commit left behind it.
struct Cluster::PassedStep {
  std::string id;
  const v1::Deployment& now;
  int position;               // from 1
  const v1::Deployment* was;  // null: the step began in the same commit
  bool is_back;

  const v1::DeploymentStep& step() const { return now.steps(position - 1); }
  std::string Text() const { return absl::StrCat(id, " leaves step ", position); }
};

// Healthy instances that have a share, below which nothing is taken out for the deployment.
int Cluster::FloorOf(const v1::Deployment* deployment) const {
  const int desired = core::DesiredOf(**state_.Find<v1::AutoScalingGroup>("blue"));
  const v1::DeploymentStep* step = deployment == nullptr ? nullptr : ReplacesNow(*deployment);
  if (step == nullptr) return desired;
  if (step->has_update()) {
    return std::max(
        0, std::min(desired - 1, RoundedUp(step->update().min_healthy_percent(), desired)));
  }
  const v1::ReplaceStep& replace = step->replace();
  const int floor = std::min(desired, RoundedUp(replace.min_healthy_percent(), desired));
  return replace.terminate_first() ? std::max(0, std::min(floor, desired - 1)) : floor;
}

// Whether nothing need serve now, or a moment ago: nothing is desired, or the plan says that the
// last one may be missing.
bool Cluster::MayServeNothing() {
  const core::Draft draft(state_);
  const auto deployment = core::ActiveDeployment(draft, "blue", nullptr);
  int serving = 0;
  for (const auto& [id, row] : state_.All<v1::Instance>()) {
    serving += core::IsServing(*row) && row->state() == v1::INSTANCE_STATE_IN_SERVICE;
  }
  has_served_ = has_served_ || serving > 0;
  if (!has_served_ || FloorOf(deployment.get()) == 0) {
    may_serve_nothing_until_ = scheduler_.now() + absl::Seconds(10);
  } else if (serving == 0 && scheduler_.now() <= may_serve_nothing_until_) {
    may_serve_nothing_until_ = scheduler_.now() + absl::Seconds(10);
  }
  return scheduler_.now() <= may_serve_nothing_until_;
}

// No deployment takes out what is needed, but by moving the traffic to what is healthy.
void Cluster::CheckFloor(const core::Changes& changes, const core::State& before) {
  std::string id;
  const core::Draft draft(state_);
  const auto deployment = core::ActiveDeployment(draft, "blue", &id);
  if (deployment == nullptr) return;
  const auto* was = before.Find<v1::Deployment>(id);
  // The traffic has moved: what it left is out of it. The gate before is looked at by itself.
  if (was != nullptr && (*was)->traffic_percent() != deployment->traffic_percent()) return;
  int serving = 0;
  for (const auto& [key, row] : state_.All<v1::Instance>()) {
    // What a person takes away in the same turn was there to be counted on.
    const auto* was_there = before.Find<v1::Instance>(key);
    const bool is_taken =
        (row->terminate_requested() || core::IsApart(*row)) && was_there != nullptr;
    serving += core::IsServing(is_taken ? **was_there : *row);
  }
  const int floor = FloorOf(deployment.get());
  if (serving >= floor) return;
  for (const core::Edit& edit : changes.edits) {
    if (edit.kind != core::Kind::kInstance || edit.value == nullptr) continue;
    const auto* row_before = before.Find<v1::Instance>(edit.key);
    const auto& is = **state_.Find<v1::Instance>(edit.key);
    if (row_before == nullptr || !core::IsServing(**row_before) || core::IsServing(is)) continue;
    if (is.unhealthy() || is.terminate_requested() || core::IsOnDrainedHost(draft, is)) continue;
    if (core::IsApart(is) || is.auto_scaling_group().empty()) continue;
    // One of a silent host that was on its way up served nobody.
    const v1::InstanceState life = core::LifeOf(**row_before);
    if (life == v1::INSTANCE_STATE_PENDING || life == v1::INSTANCE_STATE_PENDING_WAIT) continue;
    // Its end, or that of its host, is not ours; nor is it if it is back and begins anew.
    if (is.state() != v1::INSTANCE_STATE_DRAINING && !core::IsWithheld(is)) continue;
    if (is.state_reason().starts_with("another") || is.state_reason().starts_with("its host")) {
      continue;
    }
    Complain(absl::StrCat("floor: ", id, " takes ", edit.key, " out of service (",
                          is.state_reason(), ") though only ", serving, " serve, and ", floor,
                          " are promised"));
  }
}

// Where instances take each other's place, none is launched beyond what may be there at once.
void Cluster::CheckCeiling(const core::Changes& changes, const core::State& before) {
  std::string id;
  const core::Draft draft(state_);
  const auto deployment = core::ActiveDeployment(draft, "blue", &id);
  if (deployment == nullptr || core::MovesShares(*deployment)) return;
  const v1::DeploymentStep* step = ReplacesNow(*deployment);
  if (step == nullptr) return;
  const auto& group = **state_.Find<v1::AutoScalingGroup>("blue");
  const int desired = core::DesiredOf(group);
  int ceiling = desired;
  if (step->has_replace() && !step->replace().terminate_first()) {
    ceiling = std::max(desired + 1, step->replace().max_percent() * desired / kWhole);
  }
  bool is_taken = false;  // something, by somebody else
  int there_is = 0;
  int there_stays = 0;
  for (const auto& [key, row] : state_.All<v1::Instance>()) {
    // What has failed, or somebody else takes away, is replaced beside it.
    if (IsGone(*row) || row->state() == v1::INSTANCE_STATE_UNKNOWN || row->unhealthy() ||
        row->terminate_requested() || core::IsOnDrainedHost(draft, *row) || core::IsApart(*row) ||
        (core::IsWithheld(*row) && row->withheld_by() != id)) {
      is_taken = is_taken || !core::IsLeavingState(row->state()) || core::DrainsToStay(*row);
      continue;
    }
    ++there_is;
    there_stays += !core::IsLeavingState(row->state());
  }
  const bool comes_new = deployment->state() == v1::DEPLOYMENT_STATE_IN_PROGRESS;
  for (const core::Edit& edit : changes.edits) {
    if (edit.kind != core::Kind::kInstance || edit.value == nullptr) continue;
    if (before.Find<v1::Instance>(edit.key) != nullptr) continue;
    if (core::IsApart(**state_.Find<v1::Instance>(edit.key))) continue;  // for the warm pool
    const auto& row = **state_.Find<v1::Instance>(edit.key);
    if (!row.launched_for().empty()) continue;  // in the place of one that somebody takes away
    // A side that is kept whole does not wait until what left it is gone.
    const bool comes = step->has_replace() &&
                       core::IsSame(row.launch_template(), deployment->to()) == comes_new &&
                       !deployment->paused() && step == &core::CurrentStep(*deployment);
    const int there = comes ? there_is : there_stays;
    // The floor may need one more of the other side where one of it is taken away.
    if (there <= ceiling || (!comes && is_taken)) continue;
    Complain(absl::StrCat("ceiling: ", id, " launches ", edit.key, " though ", there,
                          " are there, and ", ceiling, " are promised at most"));
  }
}

// What a proxy is to have in force gives the new side its part, to the rounding of weights.
void Cluster::CheckSplit(const Config& config) {
  const core::Draft draft(state_);
  const auto deployment = core::ActiveDeployment(draft, "blue", nullptr);
  const auto view = config.find("tg");
  if (deployment == nullptr || !core::MovesShares(*deployment) || view == config.end()) return;
  const int percent = deployment->traffic_percent();
  const Weights weights = WeightsOf(view->second, NewSubset(*deployment));
  const int whole = weights.of_new + weights.of_old;
  if (percent == kWhole ? weights.of_old > 0
                        : percent > 0 && weights.of_new > 0 && weights.of_old > 0) {
    // Weights are rounded where the largest is as large as it may be.
    const int rounding = weights.largest == 10'000 ? kWhole * 4 : 0;
    if (std::abs(kWhole * weights.of_new - percent * whole) <= rounding) return;
    Complain(absl::StrCat("share: ", deployment->name(), " is to have ", percent,
                          " % of the traffic, and gets ", weights.of_new, " of ", whole));
  }
}

void Cluster::CheckPromises(const core::Changes& changes, const core::State& before) {
  MayServeNothing();
  CheckFloor(changes, before);
  CheckCeiling(changes, before);
  for (const core::Edit& edit : changes.edits) {
    if (edit.kind != core::Kind::kDeployment || edit.value == nullptr) continue;
    const auto* was = before.Find<v1::Deployment>(edit.key);
    if (was == nullptr) continue;
    CheckSteps(edit.key, **was, before);
    CheckRolledBack(edit.key, **was);
  }
}

// All steps that the commit left behind were over.
void Cluster::CheckSteps(const std::string& id, const v1::Deployment& was,
                         const core::State& before) {
  const auto& now = **state_.Find<v1::Deployment>(id);
  const bool had_ended = core::HasEnded(core::StageOf(was));
  const bool has_ended = core::HasEnded(core::StageOf(now));
  if (has_ended && !had_ended) {
    ++ends_[IsSuperseded(now) ? "superseded" : core::StageText(core::StageOf(now))];
  }
  if (had_ended || IsSuperseded(now) || now.state() == v1::DEPLOYMENT_STATE_FAILED) return;
  const bool was_back = was.state() == v1::DEPLOYMENT_STATE_ROLLING_BACK;
  const bool is_back = now.state() == v1::DEPLOYMENT_STATE_ROLLING_BACK ||
                       now.state() == v1::DEPLOYMENT_STATE_ROLLED_BACK;
  // The step that a rollback cut off.
  int cut = 0;
  if (is_back && !was_back) {
    cut = was.current_step();
    while (cut < was.steps_size() && cut < now.steps_size() &&
           now.steps(cut).SerializeAsString() == was.steps(cut).SerializeAsString()) {
      ++cut;
    }
  }
  const int end = has_ended ? now.steps_size() + 1 : now.current_step();
  for (int position = was.current_step(); position < end; ++position) {
    if (position == cut) continue;
    CheckGate({.id = id,
               .now = now,
               .position = position,
               .was = position == was.current_step() ? &was : nullptr,
               .is_back = is_back && position > cut},
              before);
  }
}

void Cluster::CheckGate(const PassedStep& passed, const core::State& before) {
  const v1::DeploymentStep& step = passed.step();
  const bool is_gated = step.has_launch() || step.has_traffic() || step.has_bake() ||
                        step.has_replace() || step.has_update();
  if (is_gated && IsSilenced()) {
    Complain(absl::StrCat("gate: ", passed.Text(), " though most of the proxies are silent"));
  }
  switch (step.kind_case()) {
    case v1::DeploymentStep::kLaunch:
      return CheckLaunched(passed, before);
    case v1::DeploymentStep::kTraffic:
      return CheckShifted(passed);
    case v1::DeploymentStep::kBake:
      return CheckWaited(passed, core::FromProto(step.bake()));
    case v1::DeploymentStep::kPause:
      return CheckWaited(passed, core::FromProto(step.pause()));
    case v1::DeploymentStep::kApproval:
      if (!approved_.contains({passed.id, passed.position})) {
        Complain(absl::StrCat("gate: ", passed.Text(), " though nobody has approved it"));
      }
      return;
    case v1::DeploymentStep::kAnalysis:
      return CheckAnalyzed(passed);
    case v1::DeploymentStep::kReplace:
    case v1::DeploymentStep::kUpdate:
      return CheckReplaced(passed);
    case v1::DeploymentStep::kDrain:
      return CheckDrained(passed);
    case v1::DeploymentStep::KIND_NOT_SET:
      Complain(absl::StrCat("gate: ", passed.Text(), ", which is none"));
  }
}

// Every live proxy finds as many of the side healthy as are to be launched; or more than served.
void Cluster::CheckLaunched(const PassedStep& passed, const core::State& before) {
  const int desired = core::DesiredOf(**state_.Find<v1::AutoScalingGroup>("blue"));
  const int enough = RoundedUp(PercentOfStep(passed.step()), desired);
  bool any_old = desired == 0;
  bool any_new = false;
  for (const auto& [name, part] : proxies_) {
    if (!IsLive(part)) continue;
    int of_new = 0;
    int of_old = 0;
    int served = 0;
    seen_.proxies[name].health.ForEach([&](const auto& target, const auto& health) {
      if (health.state() != v1::TARGET_STATE_HEALTHY) return;
      const auto* row = state_.Find<v1::Instance>(target.second);
      if (row != nullptr) {
        const bool is_new = core::IsSame((*row)->launch_template(), passed.now.to());
        ++(is_new ? of_new : of_old);
      }
      const auto* was = before.Find<v1::Instance>(target.second);
      served += was != nullptr && core::IsServing(**was);
    });
    any_old = any_old || of_old > 0;
    any_new = any_new || of_new > 0;
    if (!passed.is_back && of_new < enough && of_new < served) {
      Complain(absl::StrCat("gate: ", passed.Text(), " though ", name, " finds only ", of_new,
                            " of ", enough, " healthy, and found ", served, " before"));
    }
  }
  if (passed.is_back && !any_old && any_new) {
    Complain(absl::StrCat("gate: ", passed.Text(), " though no old instance is healthy"));
  }
}

// Every live proxy has the new share in force.
void Cluster::CheckShifted(const PassedStep& passed) {
  const int percent = passed.step().traffic();
  for (const auto& [name, part] : proxies_) {
    const auto view = part.proxy->config().find("tg");
    if (!IsLive(part) || view == part.proxy->config().end()) continue;
    const Weights weights = WeightsOf(view->second, NewSubset(passed.now));
    const bool is_far = std::abs(kWhole * weights.of_new -
                                 percent * (weights.of_new + weights.of_old)) > kWhole * 4;
    const bool is_wrong = percent == kWhole ? weights.of_old > 0
                          : percent == 0    ? passed.is_back && weights.of_new > 0
                                            : weights.of_old > 0 && weights.of_new > 0 && is_far;
    if (is_wrong) {
      Complain(absl::StrCat("gate: ", passed.Text(), ", traffic ", percent, " %, though ", name,
                            " gives the new version ", weights.of_new, " and the others ",
                            weights.of_old));
    }
  }
}

// Every live proxy finds those that came healthy, and sends nothing to those in whose place they
// are.
void Cluster::CheckReplaced(const PassedStep& passed) {
  const int desired = core::DesiredOf(**state_.Find<v1::AutoScalingGroup>("blue"));
  const int target = RoundedUp(PercentOfStep(passed.step()), desired);
  for (const auto& [name, part] : proxies_) {
    const auto view = part.proxy->config().find("tg");
    if (!IsLive(part) || view == part.proxy->config().end()) continue;
    int came = 0;
    int stayed = 0;
    for (const auto& [id, row] : state_.All<v1::Instance>()) {
      const core::TargetId key{"tg", id};
      if (!part.proxy->IsActive(key)) continue;
      const bool is_new = view->second.targets.at(id).subset() == NewSubset(passed.now);
      const proxy::v1::TargetHealth* health = seen_.proxies[name].health.Find(key);
      const bool is_healthy = health != nullptr && health->state() == v1::TARGET_STATE_HEALTHY;
      if (is_new == passed.is_back) {
        stayed += !IsGone(*row) && !row->unhealthy();  // else it ended by itself
      } else {
        came += is_healthy;
      }
    }
    if (came < target || stayed > std::max(0, desired - target)) {
      Complain(absl::StrCat("gate: ", passed.Text(), " though ", name, " finds ", came, " of ",
                            target, " healthy, and sends to ", stayed, " of the others"));
    }
  }
}

void Cluster::CheckWaited(const PassedStep& passed, absl::Duration wait) {
  if (passed.now.promoted_all() || promoted_.contains({passed.id, passed.position})) return;
  const absl::Time began = passed.was == nullptr
                               ? scheduler_.now()
                               : core::FromProto(passed.was->step_time()) +
                                     core::FromProto(passed.was->paused_duration());
  if (scheduler_.now() >= began + wait) return;
  Complain(absl::StrCat("gate: ", passed.Text(), " after ",
                        absl::FormatDuration(scheduler_.now() - began), " of ",
                        absl::FormatDuration(wait)));
}

void Cluster::CheckAnalyzed(const PassedStep& passed) {
  CheckWaited(passed, core::FromProto(passed.step().analysis().duration()));
  if (passed.now.promoted_all()) return;
  for (int i = passed.now.evaluations_size() - 1; i >= 0; --i) {
    const v1::AnalysisEvaluation& evaluation = passed.now.evaluations(i);
    if (evaluation.background() || evaluation.step() != passed.position) continue;
    if (evaluation.verdict() == v1::AnalysisEvaluation::VERDICT_PASSED) return;
    break;
  }
  Complain(absl::StrCat("gate: ", passed.Text(), " though its analysis has not passed"));
}

void Cluster::CheckDrained(const PassedStep& passed) {
  for (const auto& [id, row] : state_.All<v1::Instance>()) {
    if (IsGone(*row) || core::IsApart(*row) || row->withheld_by() != passed.id) continue;
    const bool is_new = core::IsSame(row->launch_template(), passed.now.to());
    if (is_new != passed.is_back) continue;
    Complain(absl::StrCat("gate: ", passed.Text(), " though ", id, " is not gone"));
  }
}

// A rollback ends with the version before serving, which the group runs.
void Cluster::CheckRolledBack(const std::string& id, const v1::Deployment& was) {
  const auto& now = **state_.Find<v1::Deployment>(id);
  if (was.state() == now.state() || now.state() != v1::DEPLOYMENT_STATE_ROLLED_BACK ||
      IsSuperseded(now)) {
    return;
  }
  const auto& group = **state_.Find<v1::AutoScalingGroup>("blue");
  if (now.rollback_reason().empty()) Complain("rollback: " + id + " does not say why");
  if (!core::IsSame(group.launch_template(), now.from())) {
    Complain(absl::StrCat("rollback: ", id, " ends, and the group runs ",
                          core::TextOf(group.launch_template()), ", not ",
                          core::TextOf(now.from())));
  }
  // Before anything was moved, whatever served goes on.
  const bool has_moved = std::any_of(now.steps().begin(), now.steps().end(), [](const auto& step) {
    return (step.has_traffic() && step.traffic() == 0) ||
           step.replace().role() == v1::DEPLOYMENT_ROLE_OLD ||
           step.update().role() == v1::DEPLOYMENT_ROLE_OLD;
  });
  if (core::DesiredOf(group) == 0 || core::IsBackToServing(now) || !has_moved) return;
  bool any = false;
  for (const auto& [key, row] : state_.All<v1::Instance>()) {
    if (core::IsSame(row->launch_template(), now.to())) continue;
    // One that ended by itself is launched anew, after a while.
    any =
        any || row->unhealthy() || (!core::IsWithheld(*row) && !core::IsLeavingState(row->state()));
  }
  if (!any) {
    Complain(absl::StrCat("rollback: ", id, " ends, and nothing of ", core::TextOf(now.from()),
                          " serves"));
  }
}

}  // namespace remuda::sim
