#include "controller/core/reconcile/clock_step.h"

#include <algorithm>
#include <optional>

#include "controller/core/model/deployment_row.h"

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
  for (const auto& [id, row] : pass.draft.InstancesOfGroup(group_id)) {
    DateRowBack(pass, id, *row, kInstanceTimes);
  }
  DateCapacityBack(pass, group_id);
  for (const std::string& id : DeploymentsOf(pass.draft, group_id)) {
    DateRowBack(pass, id, *pass.draft.Find<v1::Deployment>(id), kDeploymentTimes);
  }
}

}  // namespace remuda::core
