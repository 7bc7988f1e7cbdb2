// Commands on auto scaling groups beside create and update (execute_resource.cc has those), and on
// instances.
#include "controller/core/door/done.h"
#include "controller/core/door/group_verbs.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/words.h"
#include "controller/core/reconcile/sides.h"

namespace remuda::core {
namespace {

// Why no replacement of the instance can be in service before it is drained; empty if one can.
std::string WhyEndedFirst(const Draft& draft, const std::string& id, const v1::Instance& instance) {
  if (instance.state() != v1::INSTANCE_STATE_IN_SERVICE) return "it is not in service";
  const auto group = draft.Find<v1::AutoScalingGroup>(instance.auto_scaling_group());
  if (group == nullptr || group->deleting()) return "its group is being deleted";
  const auto deployment = ActiveDeployment(draft, instance.auto_scaling_group(), nullptr);
  for (const Side& side : SidesOf(draft, instance.auto_scaling_group(), *group, deployment.get())) {
    // What is on its way up or of a lost host serves nobody for certain: it counts for neither.
    int in_service = 0;
    int staying = 0;
    bool is_here = false;
    for (const auto& [other, row] : side.members) {
      is_here = is_here || other == id;
      if (row->state() != v1::INSTANCE_STATE_IN_SERVICE) continue;
      ++in_service;
      staying += other != id && !row->unhealthy() && !row->terminate_requested();
    }
    if (!is_here) continue;
    if (staying >= side.limit) return "enough others are in service";
    if (in_service >= std::max(MaxOf(*group), side.desired)) {
      return absl::StrCat("max ", MaxOf(*group), " leaves no room for another beside it");
    }
  }
  return "";
}

}  // namespace

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteAutoScalingGroupRequest& request,
                              const Context& context) {
  const auto row = FindRowToWrite<v1::AutoScalingGroup>(draft, request);
  if (!row.ok()) return row.status();
  const std::string& full = row->value->name();
  if (row->value->deletion_protection()) {
    return FailedPrecondition("DELETION_PROTECTED",
                              absl::StrCat(full, ": deletion_protection is on; take it off first"));
  }
  int live = 0;
  const Instances instances = draft.InstancesOfGroup(row->id);
  for (const auto& [id, instance] : instances)
    live += instance->state() != v1::INSTANCE_STATE_TERMINATED;
  const auto active = FindActiveDeployment(draft, row->id);
  if (live == 0 && !active.has_value()) {
    for (const auto& [id, instance] : instances) draft.Delete<v1::Instance>(id);
    for (const std::string& id : DeploymentsOf(draft, row->id)) draft.Delete<v1::Deployment>(id);
    DeleteRow(draft, context, *row);
    return Empty();
  }
  if (!request.force()) {
    return FailedPrecondition(
        "GROUP_IN_USE",
        absl::StrCat(full, ": it has ", Counted(live, "instance"),
                     active.has_value() ? absl::StrCat(" and ", NameOf<v1::Deployment>(active->id),
                                                       " is under way")
                                        : "",
                     "; set min and desired to 0 and wait, or force"));
  }
  if (row->value->deleting()) return Empty();
  v1::AutoScalingGroup value = *row->value;
  value.set_deleting(true);
  value.set_min(0);
  SetDesired(value, 0, "the group is being deleted", context.now);
  draft.Put(row->id, std::move(value));
  NoteDone(draft, context,
           {.resource = full,
            .description = absl::StrCat("Deleting ", full, " when its ", Counted(live, "instance"),
                                        " ", IsOrAre(live), " drained and ended"),
            .cause = "a person asked for it, with force"});
  return Empty();
}

absl::StatusOr<v1::AutoScalingGroup> Execute(Draft& draft,
                                             const v1::SetDesiredCapacityRequest& request,
                                             const Context& context) {
  if (!request.has_desired()) return InvalidField("desired", "must be given");
  const auto row = FindRowToWrite<v1::AutoScalingGroup>(draft, request);
  if (!row.ok()) return row.status();
  const v1::AutoScalingGroup& before = *row->value;
  if (absl::Status deleting = RefuseDeleting(before); !deleting.ok()) return deleting;
  const int min = MinOf(before);
  const int max = MaxOf(before);
  if (request.desired() < min || request.desired() > max) {
    return InvalidField("desired", absl::StrCat(request.desired(), " is not within min ", min,
                                                " and max ", max, " of ", before.name()));
  }
  if (request.desired() != DesiredOf(before) || request.desired() != before.desired()) {
    NoteDone(draft, context,
             {.resource = before.name(),
              .description = absl::StrCat("Set desired of ", before.name(), " from ",
                                          DesiredOf(before), " to ", request.desired())});
    v1::AutoScalingGroup value = before;
    SetDesired(value, request.desired(), "a person set it", context.now);
    draft.Put(row->id, std::move(value));
  }
  return Answer<v1::AutoScalingGroup>(draft, context, row->id);
}

absl::StatusOr<v1::Instance> Execute(Draft& draft, const v1::TerminateInstanceRequest& request,
                                     const Context& context) {
  const auto row = FindRowToWrite<v1::Instance>(draft, request);
  if (!row.ok()) return row.status();
  v1::Instance value = *row->value;
  const bool is_unknown = value.state() == v1::INSTANCE_STATE_UNKNOWN;
  const bool is_apart = IsApart(value);
  const bool runs_on =
      DrainsToStay(value) || (value.state() == v1::INSTANCE_STATE_DRAINING &&
                              value.in_warm_pool() && !value.terminate_requested());
  if (IsLeavingState(LifeOf(value)) && !runs_on) {
    return FailedPrecondition(
        "INSTANCE_TERMINATING",
        absl::StrCat(
            value.name(), ": it is ",
            value.state() == v1::INSTANCE_STATE_TERMINATED ? "terminated" : "on its way down",
            " already (", value.state_reason(), ")"));
  }
  if (is_apart && request.decrement_desired()) {
    return InvalidField("decrement_desired",
                        absl::StrCat(value.name(), " is not among the desired instances (",
                                     value.state_reason(), "): leave it out"));
  }
  if (value.terminate_requested() && !request.decrement_desired()) {
    return Answer<v1::Instance>(draft, context, row->id);
  }
  if (request.decrement_desired()) {
    if (absl::Status lowered = LowerDesired(draft, value, context.now); !lowered.ok())
      return lowered;
  }
  std::string cause = request.decrement_desired()
                          ? "a person asked to terminate it and to lower desired by one"
                          : "a person asked to terminate it";
  std::string done = absl::StrCat("Took ", value.name(), " on ", NameOf<v1::Host>(value.host()),
                                  " out of service to end it");
  if (is_unknown) {
    // On a host that is lost nothing can be drained: it is when the host is back.
    value.set_state_before_unknown(v1::INSTANCE_STATE_DRAINING);
    if (is_apart) value.set_terminate_requested(true);  // nor does it go back to the warm pool
  } else if (const std::string why = WhyEndedFirst(draft, row->id, value);
             !request.decrement_desired() && why.empty()) {
    value.set_terminate_requested(true);
    absl::StrAppend(&cause, "; it is drained when another is in service in its place");
    done = absl::StrCat("Marked ", value.name(), " on ", NameOf<v1::Host>(value.host()),
                        " to be replaced");
  } else {
    value.set_terminate_requested(true);  // no rollback takes it back
    if (!request.decrement_desired() && !is_apart) {
      absl::StrAppend(&cause, "; it goes first: ", why);
    }
    value.clear_standby_requested();
    value.clear_detach_requested();
    // It served: it ends as one does that was never to go back to the pool.
    if (runs_on) value.clear_in_warm_pool();
    value.clear_lifecycle_actions();
    value.set_state(v1::INSTANCE_STATE_DRAINING);
    *value.mutable_state_time() = ToProto(context.now);
  }
  value.set_state_reason(cause);
  NoteDone(draft, context,
           {.resource = value.auto_scaling_group().empty()
                            ? value.name()
                            : NameOf<v1::AutoScalingGroup>(value.auto_scaling_group()),
            .description = done,
            .cause = cause,
            .instance = row->id});
  draft.Put(row->id, std::move(value));
  return Answer<v1::Instance>(draft, context, row->id);
}

}  // namespace remuda::core
