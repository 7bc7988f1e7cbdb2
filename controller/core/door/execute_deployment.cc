// Commands on deployments. What each stage does is Reconcile's (reconcile.h).
#include "controller/core/deployment/begins_from.h"
#include "controller/core/door/defaults.h"
#include "controller/core/door/done.h"
#include "controller/core/door/prepare.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/reconcile/sides.h"

namespace remuda::core {
namespace {

void NoteDeployment(Draft& draft, const Context& context, const std::string& id,
                    const v1::Deployment& value, std::string description, std::string cause) {
  NoteDone(draft, context,
           {.resource = NameOf<v1::AutoScalingGroup>(value.auto_scaling_group()),
            .description = std::move(description),
            .cause = std::move(cause),
            .deployment = id});
}

// The activity that shows a deployment under way, if it has one, ends as cancelled.
void CancelActivity(Draft& draft, v1::Deployment& value, const Context& context) {
  if (const auto activity = draft.Find<v1::Activity>(value.activity()); activity != nullptr) {
    v1::Activity ended = *activity;
    ended.set_status(v1::ACTIVITY_STATUS_CANCELLED);
    *ended.mutable_end_time() = ToProto(context.now);
    draft.Put(value.activity(), std::move(ended));
  }
  value.clear_activity();
}

// The oldest ended deployments of a group go when there are more than are kept.
void ForgetOld(Draft& draft, const std::string& group) {
  std::vector<std::pair<int64_t, std::string>> ended;  // by number
  const std::string prefix = group + "-";
  draft.ForEachFrom<v1::Deployment>(
      prefix, [&](const std::string& id, const v1::Deployment& value) {
        if (id.compare(0, prefix.size(), prefix) != 0) return false;
        if (value.auto_scaling_group() == group && HasEnded(StageOf(value))) {
          ended.emplace_back(std::strtoll(id.c_str() + prefix.size(), nullptr, 10), id);
        }
        return true;
      });
  if (ended.size() <= limits::kDeploymentsKeptAGroup) return;
  std::sort(ended.begin(), ended.end());
  ended.resize(ended.size() - limits::kDeploymentsKeptAGroup);
  for (const auto& [number, id] : ended) draft.Delete<v1::Deployment>(id);
}

// Makes the row. What may stand against it has been checked.
std::string Begin(Draft& draft, const std::string& group, v1::Deployment value,
                  const Context& context) {
  const int64_t number = draft.Next(absl::StrCat("deployment/", group));
  std::string id = absl::StrCat(group, "-", number);
  value.set_name(NameOf<v1::Deployment>(id));
  value.set_auto_scaling_group(group);
  *value.mutable_create_time() = ToProto(context.now);
  EnterStage(value, Stage::kLaunching, context.now);
  draft.Put(id, std::move(value));
  ForgetOld(draft, group);
  return id;
}

// Whether a new deployment of the group may begin; the one under way that it would replace is
// answered.
absl::StatusOr<std::optional<Row<v1::Deployment>>> MayBegin(const Draft& draft,
                                                            const std::string& group,
                                                            bool supersede) {
  std::optional<Row<v1::Deployment>> active = FindActiveDeployment(draft, group);
  if (!active.has_value()) return active;
  const std::string full = NameOf<v1::Deployment>(active->id);
  const char* const stage = StageText(StageOf(*active->value));
  if (!supersede) {
    return FailedPrecondition(
        "DEPLOYMENT_ACTIVE",
        absl::StrCat(full, " is under way (", stage,
                     "); one deployment a group: wait for it, roll it back, or supersede"));
  }
  return active;
}

// Ends it where it is. What serves then goes on serving under the next one; what it kept from
// traffic is the next one's if that wants the version, and drained if not.
void Supersede(Draft& draft, const Row<v1::Deployment>& active, const std::string& by,
               const Context& context) {
  v1::Deployment value = *active.value;
  EnterStage(value, Stage::kRolledBack, context.now);
  value.set_rollback_reason(absl::StrCat("superseded by ", NameOf<v1::Deployment>(by)));
  CancelActivity(draft, value, context);
  NoteDeployment(draft, context, active.id, value,
                 absl::StrCat("Ended ", value.name(), " in ", StageText(StageOf(*active.value))),
                 absl::StrCat("a person began ", NameOf<v1::Deployment>(by), " in its place"));
  draft.Put(active.id, std::move(value));
}

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
    value.set_paused(paused);
    NoteDeployment(draft, context, row->id, value,
                   absl::StrCat(paused ? "Paused " : "Resumed ", value.name(), " in ",
                                StageText(StageOf(value))),
                   "a person asked for it");
    draft.Put(row->id, std::move(value));
  }
  return Answer<v1::Deployment>(draft, context, row->id);
}

// Whether an instance of the group that is up runs the version.
bool IsRun(const Draft& draft, const std::string& group, const v1::LaunchTemplateRef& version) {
  const Instances all = draft.InstancesOfGroup(group);
  return std::any_of(all.begin(), all.end(), [&](const Member& member) {
    return IsSame(member.second->launch_template(), version) &&
           !IsLeavingState(member.second->state());
  });
}

// After SUCCEEDED: a new deployment the other way.
absl::StatusOr<v1::Deployment> Undo(Draft& draft, const Row<v1::Deployment>& row,
                                    const std::string& cause, const Context& context) {
  const v1::Deployment& done = *row.value;
  const std::string& group_id = done.auto_scaling_group();
  const auto group = draft.Find<v1::AutoScalingGroup>(group_id);
  if (group == nullptr) return NotFound(NameOf<v1::AutoScalingGroup>(group_id));
  if (absl::Status change = CheckGroupChange(draft, group_id, *group, *group); !change.ok())
    return change;
  const auto active = MayBegin(draft, group_id, false);
  if (!active.ok()) return active.status();
  if (!done.rollback_of().empty()) {
    return FailedPrecondition(
        "ROLLBACK_DONE",
        absl::StrCat(done.name(), " is itself the rollback of ",
                     NameOf<v1::Deployment>(done.rollback_of()), ", and ", TextOf(done.to()),
                     " runs; deploy ", TextOf(done.from()), " if you want it again"));
  }
  if (IsBackToServing(done)) {
    return FailedPrecondition(
        "NOTHING_TO_UNDO", absl::StrCat(done.name(), " ended another and moved no traffic from ",
                                        TextOf(done.to()), "; deploy the version that you want"));
  }
  if (!IsSame(group->launch_template(), done.to()) && !IsRun(draft, group_id, done.to())) {
    return FailedPrecondition(
        "VERSION_MOVED_ON",
        absl::StrCat(done.name(), ": ", group->name(), " runs ", TextOf(group->launch_template()),
                     " by now, not ", TextOf(done.to()), "; deploy the version that you want"));
  }
  if (draft.Find<v1::LaunchTemplateVersion>(LaunchTemplateKey(
          done.from().launch_template(), done.from().resolved_version())) == nullptr) {
    return FailedPrecondition("VERSION_DELETED", absl::StrCat(done.name(), ": launch template ",
                                                              TextOf(done.from()), " is deleted"));
  }
  v1::Deployment value;
  *value.mutable_from() = RunsBeside(draft, group_id, *group, done.from());
  *value.mutable_to() = Numbered(done.from());
  *value.mutable_strategy() = done.strategy();
  *value.mutable_health_deadline() = done.health_deadline();
  if (done.has_automatic_rollback()) value.set_automatic_rollback(done.automatic_rollback());
  value.set_rollback_of(row.id);
  const std::string id = Begin(draft, group_id, std::move(value), context);
  NoteDeployment(draft, context, id, done,
                 absl::StrCat("Began ", NameOf<v1::Deployment>(id), ": ", TextOf(done.to()), " -> ",
                              TextOf(done.from()), ", to undo ", done.name()),
                 cause);
  return Answer<v1::Deployment>(draft, context, id);
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
  *value.mutable_strategy() = wish.strategy();
  if (wish.has_health_deadline()) *value.mutable_health_deadline() = wish.health_deadline();
  if (wish.has_automatic_rollback()) value.set_automatic_rollback(wish.automatic_rollback());
  ApplyDefaults(value);
  CheckDeployment(violations, at, value);
  CheckTemplateRef(violations, at / "to", References{draft, {}}, *value.mutable_to());
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
  if (!violations.empty()) return violations.ToStatus();
  if (absl::Status change = CheckGroupChange(draft, group_id, *group, *group); !change.ok())
    return change;
  const auto active = MayBegin(draft, group_id, request.supersede());
  if (!active.ok()) return active.status();
  *value.mutable_from() = RunsBeside(draft, group_id, *group, value.to());
  // What the deployment that is superseded kept from traffic does not count as running: then this
  // one is back to what serves.
  const bool is_back = IsBackToServing(value);
  if (is_back && !active->has_value()) {
    return FailedPrecondition(
        "SAME_VERSION", absl::StrCat(group->name(), " runs ", TextOf(value.to()), " already"));
  }
  const std::string what =
      absl::StrCat(is_back ? "back to " : TextOf(value.from()) + " -> ", TextOf(value.to()));
  const std::string id = Begin(draft, group_id, std::move(value), context);
  if (active->has_value()) Supersede(draft, **active, id, context);
  v1::Deployment answer = Answer<v1::Deployment>(draft, context, id);
  NoteDeployment(draft, context, id, answer, absl::StrCat("Began ", answer.name(), ": ", what),
                 "a person asked for it");
  return answer;
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
  if (StageOf(*row->value) != Stage::kBaking) {
    return FailedPrecondition(
        "NOT_BAKING", absl::StrCat(row->value->name(), " is ", StageText(StageOf(*row->value)),
                                   ": there is no bake to end"));
  }
  if (!row->value->promoted()) {
    v1::Deployment value = *row->value;
    value.set_promoted(true);
    NoteDeployment(draft, context, row->id, value, absl::StrCat("Ended the bake of ", value.name()),
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
  const std::string cause = request.reason().empty()
                                ? "a person asked for it"
                                : absl::StrCat("a person asked for it: ", request.reason());
  const Stage stage = StageOf(*row->value);
  if (stage == Stage::kSucceeded) return Undo(draft, *row, cause, context);
  if (HasEnded(stage)) {
    return FailedPrecondition("DEPLOYMENT_OVER",
                              absl::StrCat(row->value->name(),
                                           stage == Stage::kFailed ? " could not be rolled back: "
                                                                   : " is rolled back already: ",
                                           row->value->rollback_reason()));
  }
  // A rollback is under way: asked for again it is what it is.
  if (IsRollback(stage)) {
    return Answer<v1::Deployment>(draft, context, row->id);
  }
  v1::Deployment value = *row->value;
  // Before any traffic moved the old set is whole: only the new one has to go.
  EnterStage(value, stage == Stage::kLaunching ? Stage::kBackDraining : Stage::kBackLaunching,
             context.now);
  value.set_rollback_reason(cause);
  value.set_paused(false);
  NoteDeployment(draft, context, row->id, value,
                 absl::StrCat("Rolling ", value.name(), " back to ", TextOf(value.from())), cause);
  draft.Put(row->id, std::move(value));
  return Answer<v1::Deployment>(draft, context, row->id);
}

}  // namespace remuda::core
