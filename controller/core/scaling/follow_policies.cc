#include "controller/core/scaling/follow_policies.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/core/model/capacity.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/policies/evaluate.h"

namespace remuda::core {
namespace {

// A proxy says each second that requests wait.
constexpr Duration kWakeHolds = absl::Seconds(3);

// A target group of the group for which requests wait; empty if none do.
std::string WaitedFor(const Pass& pass, const v1::AutoScalingGroup& group) {
  for (const std::string& target_group : group.target_groups()) {
    const auto it = pass.seen.metrics.wakes.find(target_group);
    if (it != pass.seen.metrics.wakes.end() && pass.now < it->second + kWakeHolds) {
      return target_group;
    }
  }
  return "";
}

void Wake(Pass& pass, const std::string& group_id) {
  const auto group = pass.draft.Find<v1::AutoScalingGroup>(group_id);
  if (!group->has_from_zero() || group->deleting() || DesiredOf(*group) > 0 || MaxOf(*group) == 0) {
    return;
  }
  const std::string waits = WaitedFor(pass, *group);
  if (waits.empty()) return;
  v1::AutoScalingGroup after = *group;
  SetByPolicy(after,
              {.policy = "from-zero",
               .desired = group->from_zero().wake_to(),
               .cause = absl::StrCat("requests wait for target group ", waits)},
              pass.now);
  PutCapacity(pass, group_id, std::move(after));
}

void FollowEvaluation(Pass& pass, const std::string& group_id) {
  const auto group = pass.draft.Find<v1::AutoScalingGroup>(group_id);
  const auto it = pass.seen.metrics.evaluations.find(group_id);
  if (it == pass.seen.metrics.evaluations.end() || group->deleting()) return;
  const Evaluations& newest = it->second;
  if (!newest.wanted.has_value() || pass.now < newest.time ||
      pass.now > newest.time + DecisionHolds(pass.seen.metrics.period)) {
    return;
  }
  // It was made of a capacity that is not so any more.
  if (group->has_capacity() && FromProto(group->capacity().set_time()) >= newest.time) return;
  if (IsSuspended(*group, v1::SCALING_PROCESS_ALARM_NOTIFICATION)) return;
  const int wanted = std::max(MinOf(*group), std::min(MaxOf(*group), *newest.wanted));
  const int desired = DesiredOf(*group);
  if (wanted == desired) return;
  // One may have begun since.
  if (wanted < desired && IsMoving(pass.draft, group_id)) return;
  v1::AutoScalingGroup after = *group;
  SetByPolicy(after, {.policy = newest.policy, .desired = wanted, .cause = newest.why}, pass.now);
  PutCapacity(pass, group_id, std::move(after));
}

}  // namespace

bool IsMoving(const Draft& draft, const std::string& group_id) {
  const auto deployment = ActiveDeployment(draft, group_id, nullptr);
  return deployment != nullptr && StageOf(*deployment) != Stage::kDraining;
}

void PutCapacity(Pass& pass, const std::string& group_id, v1::AutoScalingGroup after) {
  const auto before = pass.draft.Find<v1::AutoScalingGroup>(group_id);
  const int was = DesiredOf(*before);
  const int is = DesiredOf(after);
  if (was != is) {
    pass.Note({.group = group_id,
               .description = absl::StrCat("Set desired from ", was, " to ", is),
               .cause = after.capacity().cause()});
  }
  pass.Put(group_id, std::move(after));
}

void FollowPolicies(Pass& pass, const std::string& group_id) {
  FollowSchedules(pass, group_id);
  Wake(pass, group_id);
  FollowEvaluation(pass, group_id);
}

}  // namespace remuda::core
