#include "controller/core/door/group_verbs.h"

#include "controller/core/model/capacity.h"

namespace remuda::core {

absl::Status RefuseDeleting(const v1::AutoScalingGroup& group) {
  if (!group.deleting()) return absl::OkStatus();
  return FailedPrecondition(
      "GROUP_DELETING", absl::StrCat(group.name(), ": it is being deleted and takes no changes"));
}

absl::Status LowerDesired(Draft& draft, const v1::Instance& instance, Time now) {
  const auto group = draft.Find<v1::AutoScalingGroup>(instance.auto_scaling_group());
  if (group == nullptr) return absl::OkStatus();  // it goes with its group
  if (absl::Status deleting = RefuseDeleting(*group); !deleting.ok()) return deleting;
  const int desired = DesiredOf(*group);
  const int min = MinOf(*group);
  if (desired <= min) {
    return FailedPrecondition(
        "DESIRED_AT_MIN",
        absl::StrCat(group->name(), ": desired ", desired, " cannot be lowered below min ", min,
                     "; lower min first, or leave decrement_desired out"));
  }
  v1::AutoScalingGroup lowered = *group;
  SetDesired(lowered, desired - 1, "a person lowered it by one", now);
  draft.Put(instance.auto_scaling_group(), std::move(lowered));
  return absl::OkStatus();
}

absl::Status RaiseDesired(Draft& draft, const std::string& group_id, Time now) {
  const auto group = draft.Find<v1::AutoScalingGroup>(group_id);
  if (absl::Status deleting = RefuseDeleting(*group); !deleting.ok()) return deleting;
  const int desired = DesiredOf(*group);
  const int max = MaxOf(*group);
  if (desired >= max) {
    return FailedPrecondition(
        "DESIRED_AT_MAX",
        absl::StrCat(group->name(), ": desired ", desired, " cannot be raised above max ", max,
                     "; raise max, or lower desired first"));
  }
  v1::AutoScalingGroup raised = *group;
  SetDesired(raised, desired + 1, "a person raised it by one", now);
  draft.Put(group_id, std::move(raised));
  return absl::OkStatus();
}

absl::Status RefuseInDeployment(const Draft& draft, const std::string& group_id,
                                const std::string& what) {
  const auto active = FindActiveDeployment(draft, group_id);
  if (!active.has_value()) return absl::OkStatus();
  return FailedPrecondition("DEPLOYMENT_ACTIVE",
                            absl::StrCat(NameOf<v1::Deployment>(active->id), " of ",
                                         NameOf<v1::AutoScalingGroup>(group_id),
                                         " is under way: ", what, " when it has ended"));
}

}  // namespace remuda::core
