// Commands on the life of instances: protection, standby, groups that they come from and go to.
// Hooks are in execute_hook.cc, what a group does by itself in execute_suspend.cc.
#include "controller/core/door/done.h"
#include "controller/core/door/group_verbs.h"
#include "controller/core/model/instance_state.h"

namespace remuda::core {
namespace {

std::string GroupOf(const v1::Instance& instance) {
  return instance.auto_scaling_group().empty()
             ? instance.name()
             : NameOf<v1::AutoScalingGroup>(instance.auto_scaling_group());
}

void Note(Draft& draft, const Context& context, const std::string& id, const v1::Instance& row,
          std::string description, std::string cause = "a person asked for it") {
  NoteDone(draft, context,
           {.resource = GroupOf(row),
            .description = std::move(description),
            .cause = std::move(cause),
            .instance = id});
}

absl::Status RefuseEnding(const v1::Instance& row) {
  if (!IsLeavingState(LifeOf(row)) || DrainsToStay(row)) return absl::OkStatus();
  return FailedPrecondition(
      "INSTANCE_TERMINATING",
      absl::StrCat(row.name(), ": it is ",
                   row.state() == v1::INSTANCE_STATE_TERMINATED ? "terminated" : "on its way down",
                   " (", row.state_reason(), ")"));
}

std::string StateText(const v1::Instance& row) {
  constexpr std::string_view kPrefix = "INSTANCE_STATE_";
  return v1::InstanceState_Name(row.state()).substr(kPrefix.size());
}

// Only what serves can be taken out of rotation to run on.
absl::Status RefuseNotInService(const v1::Instance& row) {
  if (row.state() == v1::INSTANCE_STATE_IN_SERVICE && !row.unhealthy() &&
      !row.terminate_requested()) {
    return absl::OkStatus();
  }
  return FailedPrecondition(
      "NOT_IN_SERVICE", absl::StrCat(row.name(), " is ", StateText(row),
                                     row.unhealthy()             ? " and unhealthy"
                                     : row.terminate_requested() ? " and is being replaced"
                                                                 : "",
                                     ": only an instance in service can be taken out of rotation"));
}

absl::Status RefuseOfDeletedGroup(const Draft& draft, const v1::Instance& row) {
  const auto group = draft.Find<v1::AutoScalingGroup>(row.auto_scaling_group());
  return group == nullptr ? absl::OkStatus() : RefuseDeleting(*group);
}

// Begins to drain it, to run on afterwards.
void DrainToStay(const Context& context, std::string reason, v1::Instance& value) {
  value.clear_replaces();
  value.set_state(v1::INSTANCE_STATE_DRAINING);
  value.set_state_reason(std::move(reason));
  *value.mutable_state_time() = ToProto(context.now);
}

// It comes up as one that is launched does, but that its process runs.
void ComeBack(const Context& context, std::string reason, v1::Instance& value) {
  value.clear_standby_requested();
  value.clear_drain_confirmed_time();
  value.set_state(v1::INSTANCE_STATE_PENDING);
  value.set_state_reason(std::move(reason));
  *value.mutable_state_time() = ToProto(context.now);
}

}  // namespace

absl::StatusOr<v1::Instance> Execute(Draft& draft, const v1::SetInstanceProtectionRequest& request,
                                     const Context& context) {
  const auto row = FindRowToWrite<v1::Instance>(draft, request);
  if (!row.ok()) return row.status();
  if (absl::Status ending = RefuseEnding(*row->value); !ending.ok()) return ending;
  v1::Instance value = *row->value;
  if (value.protected_from_scale_in() != request.protected_from_scale_in()) {
    value.set_protected_from_scale_in(request.protected_from_scale_in());
    Note(draft, context, row->id, value,
         absl::StrCat(request.protected_from_scale_in() ? "Protected " : "Took protection from ",
                      value.name(), " ", request.protected_from_scale_in() ? "from" : "against",
                      " scale-in"));
    draft.Put(row->id, std::move(value));
  }
  return Answer<v1::Instance>(draft, context, row->id);
}

absl::StatusOr<v1::Instance> Execute(Draft& draft, const v1::EnterStandbyRequest& request,
                                     const Context& context) {
  const auto row = FindRowToWrite<v1::Instance>(draft, request);
  if (!row.ok()) return row.status();
  v1::Instance value = *row->value;
  if (value.auto_scaling_group().empty()) {
    return FailedPrecondition("NO_GROUP", absl::StrCat(value.name(), " belongs to no group"));
  }
  const bool is_there = LifeOf(value) == v1::INSTANCE_STATE_STANDBY ||
                        (DrainsToStay(value) && value.standby_requested());
  if (is_there) return Answer<v1::Instance>(draft, context, row->id);
  if (absl::Status deleted = RefuseOfDeletedGroup(draft, value); !deleted.ok()) return deleted;
  if (absl::Status state = RefuseNotInService(value); !state.ok()) return state;
  if (request.decrement_desired()) {
    if (absl::Status lowered = LowerDesired(draft, value, context.now); !lowered.ok()) {
      return lowered;
    }
  }
  value.set_standby_requested(true);
  DrainToStay(context, "a person asked to have it stand by", value);
  Note(draft, context, row->id, value, absl::StrCat("Taking ", value.name(), " out to stand by"),
       request.decrement_desired() ? "a person asked for it, and to lower desired by one"
                                   : "a person asked for it; another takes its place");
  draft.Put(row->id, std::move(value));
  return Answer<v1::Instance>(draft, context, row->id);
}

absl::StatusOr<v1::Instance> Execute(Draft& draft, const v1::ExitStandbyRequest& request,
                                     const Context& context) {
  const auto row = FindRowToWrite<v1::Instance>(draft, request);
  if (!row.ok()) return row.status();
  v1::Instance value = *row->value;
  const bool stands_by = value.state() == v1::INSTANCE_STATE_STANDBY ||
                         (DrainsToStay(value) && value.standby_requested());
  if (!stands_by || value.auto_scaling_group().empty()) {
    return FailedPrecondition(
        "NOT_STANDING_BY",
        absl::StrCat(value.name(), " is ", StateText(value),
                     value.auto_scaling_group().empty() ? " and belongs to no group: attach it"
                                                        : ": it does not stand by"));
  }
  const std::string& group = value.auto_scaling_group();
  if (absl::Status active = RefuseInDeployment(draft, group, "it can come back"); !active.ok()) {
    return active;
  }
  if (absl::Status raised = RaiseDesired(draft, group, context.now); !raised.ok()) return raised;
  ComeBack(context, "a person asked to bring it back into service", value);
  Note(draft, context, row->id, value,
       absl::StrCat("Bringing ", value.name(), " back into service"),
       "a person asked for it: desired rises by one");
  draft.Put(row->id, std::move(value));
  return Answer<v1::Instance>(draft, context, row->id);
}

absl::StatusOr<v1::Instance> Execute(Draft& draft, const v1::DetachInstanceRequest& request,
                                     const Context& context) {
  const auto row = FindRowToWrite<v1::Instance>(draft, request);
  if (!row.ok()) return row.status();
  v1::Instance value = *row->value;
  const std::string& group = value.auto_scaling_group();
  if (group.empty() || (DrainsToStay(value) && value.detach_requested())) {
    return Answer<v1::Instance>(draft, context, row->id);
  }
  if (absl::Status deleted = RefuseOfDeletedGroup(draft, value); !deleted.ok()) return deleted;
  if (value.state() == v1::INSTANCE_STATE_STANDBY) {
    if (request.decrement_desired()) {
      return InvalidField("decrement_desired", absl::StrCat(value.name(),
                                                            " stands by and is not among the "
                                                            "desired instances: leave it out"));
    }
  } else if (absl::Status state = RefuseNotInService(value); !state.ok()) {
    return state;
  }
  if (request.decrement_desired()) {
    if (absl::Status lowered = LowerDesired(draft, value, context.now); !lowered.ok()) {
      return lowered;
    }
  }
  value.set_detach_requested(true);
  Note(draft, context, row->id, value,
       absl::StrCat("Detaching ", value.name(), " from ", NameOf<v1::AutoScalingGroup>(group)),
       request.decrement_desired() ? "a person asked for it, and to lower desired by one"
                                   : "a person asked for it");
  DrainToStay(context, "a person asked to detach it", value);
  draft.Put(row->id, std::move(value));
  return Answer<v1::Instance>(draft, context, row->id);
}

absl::StatusOr<v1::Instance> Execute(Draft& draft, const v1::AttachInstanceRequest& request,
                                     const Context& context) {
  const auto row = FindRowToWrite<v1::Instance>(draft, request);
  if (!row.ok()) return row.status();
  const auto group =
      FindRow<v1::AutoScalingGroup>(draft, "auto_scaling_group", request.auto_scaling_group());
  if (!group.ok()) return group.status();
  v1::Instance value = *row->value;
  if (value.auto_scaling_group() == group->id) {
    return Answer<v1::Instance>(draft, context, row->id);
  }
  if (!value.auto_scaling_group().empty()) {
    return FailedPrecondition("IN_A_GROUP", absl::StrCat(value.name(), " belongs to ",
                                                         GroupOf(value), ": detach it first"));
  }
  if (value.state() != v1::INSTANCE_STATE_STANDBY) {
    return FailedPrecondition("NOT_RUNNING", absl::StrCat(value.name(), " is ", StateText(value),
                                                          ": only one that runs can be attached"));
  }
  if (absl::Status active = RefuseInDeployment(draft, group->id, "it can be attached");
      !active.ok()) {
    return active;
  }
  if (absl::Status raised = RaiseDesired(draft, group->id, context.now); !raised.ok()) {
    return raised;
  }
  value.set_auto_scaling_group(group->id);
  value.set_protected_from_scale_in(group->value->protect_new_instances());
  value.clear_deployment();
  ComeBack(context, "a person attached it", value);
  Note(draft, context, row->id, value,
       absl::StrCat("Attached ", value.name(), " to ", group->value->name()),
       "a person asked for it: desired rises by one");
  draft.Put(row->id, std::move(value));
  return Answer<v1::Instance>(draft, context, row->id);
}

}  // namespace remuda::core
