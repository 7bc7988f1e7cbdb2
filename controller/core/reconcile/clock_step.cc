#include "controller/core/reconcile/clock_step.h"

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

}  // namespace

void DateBack(Pass& pass, const std::string& group_id) {
  for (const auto& [id, row] : pass.draft.InstancesOfGroup(group_id)) {
    DateRowBack(pass, id, *row, kInstanceTimes);
  }
  for (const std::string& id : DeploymentsOf(pass.draft, group_id)) {
    DateRowBack(pass, id, *pass.draft.Find<v1::Deployment>(id), kDeploymentTimes);
  }
}

}  // namespace remuda::core
