// Commands on deployments. What each stage does is Reconcile's (reconcile.h).
#include "controller/core/door/begin_deployment.h"
#include "controller/core/door/begin_shift.h"
#include "controller/core/door/defaults.h"
#include "controller/core/door/done.h"
#include "controller/core/door/prepare.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"

namespace remuda::core {
namespace {

// A deployment that a request names and that has not ended.
template <class Request>
absl::StatusOr<Row<v1::Deployment>> FindRunning(const Draft& draft, const Request& request) {
  auto row = FindRowToWrite<v1::Deployment>(draft, request);
  if (row.ok() && HasEnded(StageOf(*row->value))) {
    return FailedPrecondition(
        "DEPLOYMENT_OVER",
        absl::StrCat(row->value->name(), " has ended: ", StageText(StageOf(*row->value))));
  }
  return row;
}

template <class Request>
absl::StatusOr<v1::Deployment> SetPaused(Draft& draft, const Request& request, bool paused,
                                         const Context& context) {
  const auto row = FindRunning(draft, request);
  if (!row.ok()) return row.status();
  if (row->value->paused() != paused) {
    v1::Deployment value = *row->value;
    if (paused) {
      Pause(value, context.now);
    } else {
      Resume(value, context.now);
    }
    NoteDeployment(draft, context, row->id, value,
                   absl::StrCat(paused ? "Paused " : "Resumed ", value.name(), " in ",
                                StageText(StageOf(value))),
                   "a person asked for it");
    draft.Put(row->id, std::move(value));
  }
  return Answer<v1::Deployment>(draft, context, row->id);
}

std::string CauseOf(const std::string& reason) {
  return reason.empty() ? "a person asked for it" : absl::StrCat("a person asked for it: ", reason);
}

// While it is under way.
absl::StatusOr<v1::Deployment> GoBack(Draft& draft, const Row<v1::Deployment>& row,
                                      const std::string& cause, const Context& context) {
  const Stage stage = StageOf(*row.value);
  if (HasEnded(stage)) {
    return FailedPrecondition("DEPLOYMENT_OVER",
                              absl::StrCat(row.value->name(),
                                           stage == Stage::kFailed ? " could not be rolled back: "
                                                                   : " is rolled back already: ",
                                           row.value->rollback_reason()));
  }
  // A rollback is under way: asked for again it is what it is.
  if (IsRollback(stage)) return Answer<v1::Deployment>(draft, context, row.id);
  v1::Deployment value = *row.value;
  BeginRollback(value, context.now);
  value.set_rollback_reason(cause);
  NoteDeployment(
      draft, context, row.id, value,
      absl::StrCat("Rolling ", value.name(), " back to ",
                   IsShift(value) ? absl::StrCat("target group ", value.shift().from_target_group())
                                  : TextOf(value.from())),
      cause);
  draft.Put(row.id, std::move(value));
  return Answer<v1::Deployment>(draft, context, row.id);
}

}  // namespace

absl::StatusOr<v1::Deployment> Execute(Draft& draft, const v1::CreateDeploymentRequest& request,
                                       const Context& context) {
  Violations violations;
  const FieldPath at("deployment");
  const v1::Deployment& wish = request.deployment();
  v1::Deployment value;
  *value.mutable_to() = wish.to();
  value.mutable_to()->clear_resolved_version();
  if (wish.has_strategy()) *value.mutable_strategy() = wish.strategy();
  if (wish.has_health_deadline()) *value.mutable_health_deadline() = wish.health_deadline();
  if (wish.has_automatic_rollback()) value.set_automatic_rollback(wish.automatic_rollback());
  if (wish.has_analysis()) *value.mutable_analysis() = wish.analysis();
  *value.mutable_previews() = wish.previews();
  if (wish.has_mirror()) *value.mutable_mirror() = wish.mirror();
  const DeploymentOptions options = {.supersede = request.supersede(),
                                     .refuse_failed = request.refuse_failed()};
  if (wish.has_shift()) {
    if (!wish.auto_scaling_group().empty() || wish.has_to()) {
      violations.Add(at / "shift", "does not go with auto_scaling_group and to");
      return violations.ToStatus();
    }
    value.clear_to();
    *value.mutable_shift() = wish.shift();
    const auto id = BeginShift(draft, at, std::move(value), options, context);
    if (!id.ok()) return id.status();
    return Answer<v1::Deployment>(draft, context, *id);
  }
  std::string group_id = wish.auto_scaling_group();
  const FieldPath group_at = at / "auto_scaling_group";
  std::shared_ptr<const v1::AutoScalingGroup> group;
  if (NormalizeReference(violations, group_at, kAutoScalingGroups, group_id)) {
    group = draft.Find<v1::AutoScalingGroup>(group_id);
    if (group == nullptr) {
      violations.Add(group_at,
                     absl::StrCat("there is no ", NameOf<v1::AutoScalingGroup>(group_id)));
    }
  }
  CompleteWish(group == nullptr ? v1::AutoScalingGroup() : *group, value);
  CheckDeployment(violations, at, value, context.analysis_commands);
  CheckTemplateRef(violations, at / "to", References{draft, {}}, *value.mutable_to());
  if (!violations.empty()) return violations.ToStatus();
  const absl::StatusOr<std::string> id =
      BeginDeployment(draft, group_id, std::move(value), options, context);
  if (!id.ok()) return id.status();
  return Answer<v1::Deployment>(draft, context, *id);
}

absl::StatusOr<v1::Deployment> Execute(Draft& draft, const v1::PauseDeploymentRequest& request,
                                       const Context& context) {
  return SetPaused(draft, request, true, context);
}

absl::StatusOr<v1::Deployment> Execute(Draft& draft, const v1::ResumeDeploymentRequest& request,
                                       const Context& context) {
  return SetPaused(draft, request, false, context);
}

absl::StatusOr<v1::Deployment> Execute(Draft& draft, const v1::PromoteDeploymentRequest& request,
                                       const Context& context) {
  const auto row = FindRunning(draft, request);
  if (!row.ok()) return row.status();
  const v1::DeploymentStep& step = CurrentStep(*row->value);
  if (!request.all() && !step.has_bake() && !step.has_pause()) {
    return FailedPrecondition(
        "NOT_WAITING",
        absl::StrCat(row->value->name(), " is ", StageText(StageOf(*row->value)),
                     step.has_approval()   ? ": it waits for an approval, not for a time"
                     : step.has_analysis() ? ": an analysis has to pass, no wait is to be ended"
                                           : ": there is no wait to end"));
  }
  if (IsRollback(StageOf(*row->value))) {
    return FailedPrecondition("ROLLING_BACK",
                              absl::StrCat(row->value->name(), " is being rolled back"));
  }
  if (request.all() ? !row->value->promoted_all() : !row->value->promoted()) {
    v1::Deployment value = *row->value;
    if (request.all()) {
      value.set_promoted_all(true);
    } else {
      value.set_promoted(true);
    }
    const char* what = request.all()     ? "Ended all waits of "
                       : step.has_bake() ? "Ended the bake of "
                                         : "Ended a wait of ";
    NoteDeployment(draft, context, row->id, value, absl::StrCat(what, value.name()),
                   "a person promoted it");
    draft.Put(row->id, std::move(value));
  }
  return Answer<v1::Deployment>(draft, context, row->id);
}

absl::StatusOr<v1::Deployment> Execute(Draft& draft, const v1::RollbackDeploymentRequest& request,
                                       const Context& context) {
  Violations violations;
  CheckText(violations, FieldPath("reason"), request.reason(), limits::kReasonBytes);
  if (!violations.empty()) return violations.ToStatus();
  const auto row = FindRowToWrite<v1::Deployment>(draft, request);
  if (!row.ok()) return row.status();
  const std::string cause = CauseOf(request.reason());
  if (StageOf(*row->value) == Stage::kSucceeded) return UndoDeployment(draft, *row, cause, context);
  return GoBack(draft, *row, cause, context);
}

absl::StatusOr<v1::Deployment> Execute(Draft& draft, const v1::AbortDeploymentRequest& request,
                                       const Context& context) {
  Violations violations;
  CheckText(violations, FieldPath("reason"), request.reason(), limits::kReasonBytes);
  if (!violations.empty()) return violations.ToStatus();
  const auto row = FindRunning(draft, request);
  if (!row.ok()) return row.status();
  return GoBack(draft, *row, CauseOf(request.reason()), context);
}

absl::StatusOr<v1::Deployment> Execute(Draft& draft, const v1::ApproveDeploymentRequest& request,
                                       const Context& context) {
  Violations violations;
  CheckText(violations, FieldPath("reason"), request.reason(), limits::kReasonBytes);
  if (!violations.empty()) return violations.ToStatus();
  const auto row = FindRunning(draft, request);
  if (!row.ok()) return row.status();
  const v1::DeploymentStep& step = CurrentStep(*row->value);
  if (!step.has_approval()) {
    return FailedPrecondition(
        "NO_APPROVAL_AWAITED",
        absl::StrCat(row->value->name(), " is ", StageText(StageOf(*row->value)),
                     ": it waits for no approval now"));
  }
  const std::string& awaited = step.approval().name();
  if (!request.approval().empty() && request.approval() != awaited) {
    return FailedPrecondition("OTHER_APPROVAL_AWAITED",
                              absl::StrCat(row->value->name(), " waits for the approval `", awaited,
                                           "`, not for `", request.approval(), "`"));
  }
  if (request.reject()) {
    return GoBack(draft, *row,
                  absl::StrCat("a person refused the approval `", awaited, "`",
                               request.reason().empty() ? "" : ": ", request.reason()),
                  context);
  }
  if (!row->value->approved()) {
    v1::Deployment value = *row->value;
    value.set_approved(true);
    NoteDeployment(draft, context, row->id, value,
                   absl::StrCat("Approved `", awaited, "` of ", value.name()),
                   request.reason().empty() ? "a person agreed"
                                            : absl::StrCat("a person agreed: ", request.reason()));
    draft.Put(row->id, std::move(value));
  }
  return Answer<v1::Deployment>(draft, context, row->id);
}

}  // namespace remuda::core
