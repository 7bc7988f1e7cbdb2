#include "controller/core/reconcile/clock_step.h"

#include <algorithm>
#include <optional>

#include "controller/core/model/capacity.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/lifecycle_hooks.h"

namespace remuda::core {
namespace {

using google::protobuf::Timestamp;

template <class T>
struct TimeField {
  bool (T::*has)() const;
  const Timestamp& (T::*get)() const;
  Timestamp* (T::*change)();
};

constexpr TimeField<v1::Instance> kInstanceTimes[] = {
    {&v1::Instance::has_create_time, &v1::Instance::create_time,
     &v1::Instance::mutable_create_time},
    {&v1::Instance::has_state_time, &v1::Instance::state_time, &v1::Instance::mutable_state_time},
    {&v1::Instance::has_start_time, &v1::Instance::start_time, &v1::Instance::mutable_start_time},
    {&v1::Instance::has_in_service_time, &v1::Instance::in_service_time,
     &v1::Instance::mutable_in_service_time},
    {&v1::Instance::has_drain_confirmed_time, &v1::Instance::drain_confirmed_time,
     &v1::Instance::mutable_drain_confirmed_time},
};
constexpr TimeField<v1::Deployment> kDeploymentTimes[] = {
    {&v1::Deployment::has_create_time, &v1::Deployment::create_time,
     &v1::Deployment::mutable_create_time},
    {&v1::Deployment::has_step_time, &v1::Deployment::step_time,
     &v1::Deployment::mutable_step_time},
    {&v1::Deployment::has_shift_confirmed_time, &v1::Deployment::shift_confirmed_time,
     &v1::Deployment::mutable_shift_confirmed_time},
    {&v1::Deployment::has_pause_time, &v1::Deployment::pause_time,
     &v1::Deployment::mutable_pause_time},
    {&v1::Deployment::has_end_time, &v1::Deployment::end_time, &v1::Deployment::mutable_end_time},
};

template <class T, size_t N>
void DateRowBack(Pass& pass, const std::string& id, const T& row, const TimeField<T> (&fields)[N]) {
  std::optional<T> after;
  for (const TimeField<T>& field : fields) {
    if (!(row.*field.has)() || FromProto((row.*field.get)()) <= pass.now) continue;
    if (!after.has_value()) after = row;
    *((*after).*field.change)() = ToProto(pass.now);
  }
  if (after.has_value()) pass.Put(id, *std::move(after));
}

// Whether proxies are told of an instance hangs on which was first, it or what is suspended
// (IsKeptFromBalancer): where both are dated now, it is kept to.
void DateSuspendedBack(Pass& pass, const std::string& group_id) {
  const auto group = pass.draft.Find<v1::AutoScalingGroup>(group_id);
  if (group == nullptr) return;
  std::optional<v1::AutoScalingGroup> after;
  for (int i = 0; i < group->suspended_processes_size(); ++i) {
    const Time time = FromProto(group->suspended_processes(i).time());
    if (time <= pass.now) continue;
    if (!after.has_value()) after = *group;
    *after->mutable_suspended_processes(i)->mutable_time() = ToProto(pass.now);
    if (group->suspended_processes(i).process() != v1::SCALING_PROCESS_ADD_TO_LOAD_BALANCER) {
      continue;
    }
    for (const auto& [id, row] : pass.draft.InstancesOfGroup(group_id)) {
      const Time created = FromProto(row->create_time());
      if (created < pass.now || created >= time) continue;
      v1::Instance before = *row;
      *before.mutable_create_time() = ToProto(pass.now - absl::Microseconds(1));
      pass.Put(id, std::move(before));
    }
  }
  if (after.has_value()) pass.Put(group_id, *std::move(after));
}

// A hook waits no longer than a heartbeat now would have it wait.
void DateActionsBack(Pass& pass, const v1::AutoScalingGroup& group, const std::string& id) {
  const auto row = pass.draft.Find<v1::Instance>(id);
  if (row->lifecycle_actions().empty()) return;
  v1::Instance after = *row;
  for (v1::LifecycleAction& action : *after.mutable_lifecycle_actions()) {
    const v1::LifecycleHook* hook = FindHook(group, action.hook());
    if (hook == nullptr || !action.has_start_time()) continue;
    if (FromProto(action.start_time()) > pass.now) {
      *action.mutable_start_time() = ToProto(pass.now);
    }
    const Time latest = DeadlineAfterBeat(*hook, action, pass.now);
    if (FromProto(action.heartbeat_deadline()) > latest) {
      *action.mutable_heartbeat_deadline() = ToProto(latest);
    }
  }
  pass.Put(id, std::move(after));
}

// What policies did is not to come: they would do nothing until then.
void DateCapacityBack(Pass& pass, const std::string& group_id) {
  const auto group = pass.draft.Find<v1::AutoScalingGroup>(group_id);
  if (group == nullptr || !group->has_capacity()) return;
  const auto is_ahead = [&](const Timestamp& time) { return FromProto(time) > pass.now; };
  const v1::GroupCapacity& capacity = group->capacity();
  const bool any = is_ahead(capacity.set_time()) || is_ahead(capacity.scale_out_time()) ||
                   is_ahead(capacity.scale_in_time()) ||
                   std::any_of(capacity.policy_times().begin(), capacity.policy_times().end(),
                               [&](const auto& entry) { return is_ahead(entry.second); });
  if (!any) return;
  v1::AutoScalingGroup after = *group;
  v1::GroupCapacity& now = *after.mutable_capacity();
  if (is_ahead(capacity.set_time())) *now.mutable_set_time() = ToProto(pass.now);
  if (is_ahead(capacity.scale_out_time())) *now.mutable_scale_out_time() = ToProto(pass.now);
  if (is_ahead(capacity.scale_in_time())) *now.mutable_scale_in_time() = ToProto(pass.now);
  for (auto& [policy, time] : *now.mutable_policy_times()) {
    if (is_ahead(time)) time = ToProto(pass.now);
  }
  pass.Put(group_id, std::move(after));
}

}  // namespace

void DateBack(Pass& pass, const std::string& group_id) {
  DateSuspendedBack(pass, group_id);
  const auto group = pass.draft.Find<v1::AutoScalingGroup>(group_id);
  for (const auto& [id, row] : pass.draft.InstancesOfGroup(group_id)) {
    DateRowBack(pass, id, *row, kInstanceTimes);
    if (group != nullptr) DateActionsBack(pass, *group, id);
  }
  DateCapacityBack(pass, group_id);
  for (const std::string& id : DeploymentsOf(pass.draft, group_id)) {
    DateRowBack(pass, id, *pass.draft.Find<v1::Deployment>(id), kDeploymentTimes);
  }
}

}  // namespace remuda::core
