#include "controller/core/model/capacity.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <string_view>

namespace remuda::core {

int MinOf(const v1::AutoScalingGroup& group) {
  return group.capacity().has_min() ? group.capacity().min() : group.min();
}

int MaxOf(const v1::AutoScalingGroup& group) {
  return group.capacity().has_max() ? group.capacity().max() : group.max();
}

int DesiredOf(const v1::AutoScalingGroup& group) {
  if (group.deleting()) return 0;
  const int desired = group.has_capacity() ? group.capacity().desired() : group.desired();
  return std::max(MinOf(group), std::min(MaxOf(group), desired));
}

namespace {

void SetByPerson(v1::GroupCapacity& capacity, int desired, const std::string& cause, Time now) {
  capacity.set_desired(desired);
  capacity.clear_set_by();
  capacity.set_cause(cause);
  *capacity.mutable_set_time() = ToProto(now);
}

}  // namespace

void SetDesired(v1::AutoScalingGroup& group, int desired, const std::string& cause, Time now) {
  group.set_desired(std::max(group.min(), std::min(group.max(), desired)));
  SetByPerson(*group.mutable_capacity(), desired, cause, now);
}

void SetByPolicy(v1::AutoScalingGroup& group, const PolicyWish& wish, Time now) {
  const int before = DesiredOf(group);
  const int desired = std::max(MinOf(group), std::min(MaxOf(group), wish.desired));
  v1::GroupCapacity& capacity = *group.mutable_capacity();
  capacity.set_desired(desired);
  capacity.set_set_by(wish.policy);
  capacity.set_cause(wish.cause);
  *capacity.mutable_set_time() = ToProto(now);
  if (desired > before) *capacity.mutable_scale_out_time() = ToProto(now);
  if (desired < before) *capacity.mutable_scale_in_time() = ToProto(now);
  (*capacity.mutable_policy_times())[wish.policy] = ToProto(now);
}

void KeepCapacity(const v1::AutoScalingGroup* before, v1::AutoScalingGroup& group, Time now) {
  if (before == nullptr || !before->has_capacity()) {
    group.clear_capacity();
    SetByPerson(*group.mutable_capacity(), group.desired(), "a person set it", now);
    return;
  }
  *group.mutable_capacity() = before->capacity();
  v1::GroupCapacity& capacity = *group.mutable_capacity();
  if (group.min() != before->min()) capacity.clear_min();
  if (group.max() != before->max()) capacity.clear_max();
  // The person's word is the newer one.
  if (MinOf(group) > MaxOf(group)) {
    capacity.clear_min();
    capacity.clear_max();
  }
  // Not what the bounds alone have made of it.
  const int bounded = std::max(group.min(), std::min(group.max(), before->desired()));
  if (group.desired() != before->desired() && group.desired() != bounded) {
    SetByPerson(capacity, group.desired(), "a person set it", now);
  }
  const int kept = std::max(MinOf(group), std::min(MaxOf(group), capacity.desired()));
  if (kept == capacity.desired()) return;
  SetByPerson(capacity, kept, "a person set min and max", now);
}

namespace {

const v1::SuspendedProcess* FindSuspended(const v1::AutoScalingGroup& group,
                                          v1::ScalingProcess process) {
  const auto& all = group.suspended_processes();
  const auto it = std::find_if(all.begin(), all.end(), [&](const auto& suspended) {
    return suspended.process() == process;
  });
  return it == all.end() ? nullptr : &*it;
}

}  // namespace

bool IsSuspended(const v1::AutoScalingGroup& group, v1::ScalingProcess process) {
  return FindSuspended(group, process) != nullptr;
}

std::string SuspendedText(const v1::AutoScalingGroup& group, v1::ScalingProcess process) {
  const v1::SuspendedProcess* suspended = FindSuspended(group, process);
  if (suspended == nullptr) return "";
  constexpr std::string_view kPrefix = "SCALING_PROCESS_";
  return absl::StrCat(v1::ScalingProcess_Name(process).substr(kPrefix.size()), " is suspended",
                      suspended->reason().empty() ? "" : ": ", suspended->reason());
}

bool IsKeptFromBalancer(const v1::AutoScalingGroup& group, const v1::Instance& instance) {
  const v1::SuspendedProcess* suspended =
      FindSuspended(group, v1::SCALING_PROCESS_ADD_TO_LOAD_BALANCER);
  return suspended != nullptr && FromProto(instance.create_time()) >= FromProto(suspended->time());
}

}  // namespace remuda::core
