#include "controller/core/deployment/deployment_facts.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/words.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/reconcile/limits.h"

namespace remuda::core {
namespace {

bool IsHealthyNow(const Pass& pass, const DeploymentFacts& facts, const Member& member) {
  const v1::Instance& row = *member.second;
  if (row.state() != v1::INSTANCE_STATE_IN_SERVICE && row.state() != v1::INSTANCE_STATE_UNKNOWN) {
    return false;
  }
  if (row.unhealthy() || ProcessOf(pass.seen, member.first, row).process == Process::kEnded) {
    return false;
  }
  return JudgeByProxies(pass.gates, member.first, facts.group).verdict != Verdict::kUnhealthy;
}

// Whether one that has failed is missed still. While the old instances are ended, for as long as
// that takes: there is no way back from it.
bool CountsAsLost(Pass& pass, const DeploymentFacts& facts, const v1::Instance& row) {
  const Time failed = FromProto(row.state_time());
  if (StageOf(facts.row) == Stage::kDraining && failed >= FromProto(facts.row.step_time())) {
    return true;
  }
  pass.DueAt(failed + kFailureCounts);
  return pass.now < failed + kFailureCounts;
}

template <class Counts>
Condition ConditionOf(Pass& pass, const DeploymentFacts& facts, int desired, Counts counts) {
  Condition out;
  int failed = 0;
  for (const Member& member : pass.draft.InstancesOfGroup(facts.group_id)) {
    const v1::Instance& row = *member.second;
    if (IsApart(row) || !counts(row)) continue;
    if (IsHealthyNow(pass, facts, member)) {
      ++out.healthy;
    } else if (IsLeavingState(row.state())) {
      failed += row.unhealthy() && CountsAsLost(pass, facts, row);
    } else {
      failed += row.unhealthy() || row.has_in_service_time();
    }
  }
  out.lost = std::min(failed, std::max(0, desired - out.healthy));
  return out;
}

}  // namespace

std::optional<DeploymentFacts> Look(const Pass& pass, const v1::Deployment& row,
                                    std::string_view id) {
  const auto group = pass.draft.Find<v1::AutoScalingGroup>(row.auto_scaling_group());
  if (group == nullptr) return std::nullopt;
  auto sides = SidesOf(pass.draft, row.auto_scaling_group(), *group, &row);
  return DeploymentFacts{row.auto_scaling_group(), std::string(id),    *group, row,
                         std::move(sides[0]),      std::move(sides[1])};
}

int HealthyOf(const Pass& pass, const DeploymentFacts& facts, const Side& side) {
  return static_cast<int>(
      std::count_if(side.members.begin(), side.members.end(),
                    [&](const Member& member) { return IsHealthyNow(pass, facts, member); }));
}

Condition NewCondition(Pass& pass, const DeploymentFacts& facts) {
  // Where instances take each other's place, one that never served is missed by nobody: its launch
  // failed.
  const bool all = MovesShares(facts.row);
  return ConditionOf(pass, facts, facts.new_side.desired, [&](const v1::Instance& row) {
    return IsSame(row.launch_template(), facts.row.to()) && (all || row.has_in_service_time());
  });
}

Condition ServingCondition(Pass& pass, const DeploymentFacts& facts) {
  return ConditionOf(pass, facts, facts.new_side.desired,
                     [](const v1::Instance& row) { return !IsWithheld(row); });
}

bool IsLettingDown(Pass& pass, const DeploymentFacts& facts) {
  if (StageOf(facts.row) != Stage::kDraining || facts.new_side.desired == 0) return false;
  const Condition condition = NewCondition(pass, facts);
  return condition.healthy == 0 || condition.IsFailing(facts.new_side.desired);
}

std::string OnlyHealthy(const Pass& pass, const DeploymentFacts& facts) {
  const int desired = facts.new_side.desired;
  return absl::StrCat("only ", HealthyOf(pass, facts, facts.new_side), " of ",
                      Counted(desired, "instance"), " of ", TextOf(facts.row.to()), " ",
                      IsOrAre(desired), " healthy");
}

}  // namespace remuda::core
