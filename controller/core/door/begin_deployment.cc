#include "controller/core/door/begin_deployment.h"

#include <algorithm>

#include "controller/core/deployment/analyses.h"
#include "controller/core/deployment/begins_from.h"
#include "controller/core/deployment/deployment_room.h"
#include "controller/core/deployment/plan.h"
#include "controller/core/door/begin_shift.h"
#include "controller/core/door/defaults.h"
#include "controller/core/door/done.h"
#include "controller/core/door/prepare.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/shift_row.h"
#include "controller/core/reconcile/sides.h"

namespace remuda::core {

void NoteDeployment(Draft& draft, const Context& context, const std::string& id,
                    const v1::Deployment& value, std::string description, std::string cause) {
  NoteDone(
      draft, context,
      {.resource = value.has_shift() ? NameOf<v1::LoadBalancer>(BalancerOf(value.shift()))
                                     : NameOf<v1::AutoScalingGroup>(value.auto_scaling_group()),
       .description = std::move(description),
       .cause = std::move(cause),
       .deployment = id});
}

namespace {

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

// The steps, and what a person should know of them.
void PlanIt(const Draft& draft, const std::string& group_id, v1::Deployment& value,
            const Context& context) {
  const auto group = draft.Find<v1::AutoScalingGroup>(group_id);
  const DeploymentRoom room = RoomFor(draft, context.seen, context.now, group_id, *group, value);
  BeginSteps(value, PlanOf(value, room.fits == 0), context.now);
  if (!MovesShares(value)) SetBases(draft, context.seen, value);
  value.clear_warnings();
  for (std::string& warning : WarningsOf(*group, value, room)) {
    value.add_warnings(std::move(warning));
  }
}

// Makes the row. What may stand against it has been checked.
std::string Begin(Draft& draft, const std::string& group, v1::Deployment value,
                  const Context& context) {
  const int64_t number = draft.Next(absl::StrCat("deployment/", group));
  std::string id = absl::StrCat(group, "-", number);
  value.set_name(NameOf<v1::Deployment>(id));
  value.set_auto_scaling_group(group);
  *value.mutable_create_time() = ToProto(context.now);
  PlanIt(draft, group, value, context);
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

// What it leaves to the next one. Of a deployment with a part of the traffic the old side is whole:
// what it moved to takes none any more, so that the next one begins from the old version alone.
// What was taken out to be changed in place, and is not yet, stays what it is.
// Unless too few of the old version serve to bear it all.
void LeaveToNext(Draft& draft, const Row<v1::Deployment>& active, const Context& context) {
  const auto group = draft.Find<v1::AutoScalingGroup>(active.value->auto_scaling_group());
  int serving = 0;
  for (const auto& [id, row] : draft.InstancesOfGroup(active.value->auto_scaling_group())) {
    serving += IsServing(*row) && row->state() == v1::INSTANCE_STATE_IN_SERVICE &&
               !IsSame(row->launch_template(), active.value->to());
  }
  const bool is_whole = IsShared(*active.value) && serving >= DesiredOf(*group);
  for (const auto& [id, row] : draft.InstancesOfGroup(active.value->auto_scaling_group())) {
    v1::Instance after = *row;
    if (IsUpdating(*row)) {
      after.clear_update_to();
      after.clear_drain_confirmed_time();
      if (!row->terminate_requested()) {
        after.set_state(v1::INSTANCE_STATE_PENDING);
        after.set_state_reason(absl::StrCat("deployment ", active.id, " is superseded"));
        *after.mutable_state_time() = ToProto(context.now);
      }
    } else if (is_whole && IsSame(row->launch_template(), active.value->to()) &&
               !IsLeavingState(row->state()) && !IsApart(*row)) {
      after.set_withheld_by(active.id);
    } else {
      continue;
    }
    draft.Put(id, std::move(after));
  }
}

// Ends it where it is. What serves then goes on serving under the next one; what it kept from
// traffic is the next one's if that wants the version, and drained if not.
void Supersede(Draft& draft, const Row<v1::Deployment>& active, const std::string& by,
               const Context& context) {
  v1::Deployment value = *active.value;
  End(value, v1::DEPLOYMENT_STATE_ROLLED_BACK, context.now);
  value.set_rollback_reason(absl::StrCat("superseded by ", NameOf<v1::Deployment>(by)));
  CancelActivity(draft, value, context);
  NoteDeployment(draft, context, active.id, value,
                 absl::StrCat("Ended ", value.name(), " in ", StageText(StageOf(*active.value))),
                 absl::StrCat("a person began ", NameOf<v1::Deployment>(by), " in its place"));
  draft.Put(active.id, std::move(value));
}

// Whether an instance of the group that is up runs the version.
bool IsRun(const Draft& draft, const std::string& group, const v1::LaunchTemplateRef& version) {
  const Instances all = draft.InstancesOfGroup(group);
  return std::any_of(all.begin(), all.end(), [&](const Member& member) {
    return IsSame(member.second->launch_template(), version) &&
           !IsLeavingState(member.second->state()) && !IsApart(*member.second);
  });
}

// Why the version is not to be tried again: the newest deployment to it did not keep it.
absl::Status CheckNotFailed(const Draft& draft, const std::string& group,
                            const v1::LaunchTemplateRef& to) {
  std::pair<Time, std::shared_ptr<const v1::Deployment>> newest = {absl::InfinitePast(), nullptr};
  for (const std::string& id : DeploymentsOf(draft, group)) {
    auto row = draft.Find<v1::Deployment>(id);
    const Time made = FromProto(row->create_time());
    // One that another took the place of proves nothing.
    if (row->rollback_reason().starts_with("superseded by")) continue;
    // What undid one that had succeeded is a word on that version, too.
    const auto undone = draft.Find<v1::Deployment>(row->rollback_of());
    const bool undoes =
        undone != nullptr && IsSame(undone->to(), to) && StageOf(*row) == Stage::kSucceeded;
    if ((undoes || IsSame(row->to(), to)) && made >= newest.first) newest = {made, std::move(row)};
  }
  if (newest.second == nullptr) return absl::OkStatus();
  const Stage stage = StageOf(*newest.second);
  if (!IsSame(newest.second->to(), to)) {
    return FailedPrecondition(
        "FAILED_BEFORE",
        absl::StrCat(newest.second->name(), " undid ",
                     NameOf<v1::Deployment>(newest.second->rollback_of()), ", which deployed ",
                     TextOf(to), "; nothing has changed since"));
  }
  if (stage != Stage::kRolledBack && stage != Stage::kFailed) return absl::OkStatus();
  return FailedPrecondition(
      "FAILED_BEFORE",
      absl::StrCat(newest.second->name(), " deployed ", TextOf(to), " and ended ", StageText(stage),
                   ": ", newest.second->rollback_reason(), "; nothing has changed since"));
}

// What changes an instance in place keeps its port: a version that wants another cannot be taken.
absl::Status CheckPortKept(const Draft& draft, const std::string& group,
                           const v1::Deployment& value) {
  const auto& steps = value.strategy().steps();
  const bool updates = value.strategy().has_in_place() ||
                       std::any_of(steps.begin(), steps.end(), [](const v1::DeploymentStep& step) {
                         return step.has_update();
                       });
  const auto launch = draft.Find<v1::LaunchTemplateVersion>(
      LaunchTemplateKey(value.to().launch_template(), value.to().resolved_version()));
  if (!updates || launch == nullptr || launch->port() == 0) return absl::OkStatus();
  for (const auto& [id, row] : draft.InstancesOfGroup(group)) {
    if (IsLeavingState(row->state()) || row->port() == 0 || row->port() == launch->port()) continue;
    return FailedPrecondition("PORT_CHANGES",
                              absl::StrCat("instance ", id, " has port ", row->port(), ", and ",
                                           TextOf(value.to()), " wants ", launch->port(),
                                           ": in place an instance keeps its port; use rolling"));
  }
  return absl::OkStatus();
}

}  // namespace

void CompleteWish(const v1::AutoScalingGroup& group, v1::Deployment& wish) {
  if (group.has_deployment()) {
    const v1::DeploymentSettings& settings = group.deployment();
    if (!wish.has_strategy()) *wish.mutable_strategy() = settings.strategy();
    if (!wish.has_health_deadline()) *wish.mutable_health_deadline() = settings.health_deadline();
    if (!wish.has_automatic_rollback()) wish.set_automatic_rollback(settings.automatic_rollback());
    if (!wish.has_analysis() && settings.has_analysis())
      *wish.mutable_analysis() = settings.analysis();
    if (wish.previews().empty()) *wish.mutable_previews() = settings.previews();
    if (!wish.has_mirror() && settings.has_mirror()) *wish.mutable_mirror() = settings.mirror();
  }
  ApplyDefaults(wish);
}

absl::StatusOr<std::string> BeginDeployment(Draft& draft, const std::string& group_id,
                                            v1::Deployment value, const DeploymentOptions& options,
                                            const Context& context) {
  const auto group = draft.Find<v1::AutoScalingGroup>(group_id);
  if (absl::Status change = CheckGroupChange(draft, group_id, *group, *group); !change.ok())
    return change;
  const auto active = MayBegin(draft, group_id, options.supersede);
  if (!active.ok()) return active.status();
  if (active->has_value()) LeaveToNext(draft, **active, context);
  *value.mutable_from() = RunsBeside(draft, group_id, *group, value.to());
  // What the deployment that is superseded kept from traffic does not count as running: then this
  // one is back to what serves.
  const bool is_back = IsBackToServing(value);
  if (is_back && !active->has_value()) {
    return FailedPrecondition(
        "SAME_VERSION", absl::StrCat(group->name(), " runs ", TextOf(value.to()), " already"));
  }
  if (options.refuse_failed) {
    if (absl::Status failed = CheckNotFailed(draft, group_id, value.to()); !failed.ok())
      return failed;
  }
  if (absl::Status port = CheckPortKept(draft, group_id, value); !port.ok()) return port;
  const std::string what =
      absl::StrCat(is_back ? "back to " : TextOf(value.from()) + " -> ", TextOf(value.to()));
  const std::string id = Begin(draft, group_id, std::move(value), context);
  if (active->has_value()) Supersede(draft, **active, id, context);
  const auto row = draft.Find<v1::Deployment>(id);
  NoteDeployment(draft, context, id, *row, absl::StrCat("Began ", row->name(), ": ", what),
                 options.cause);
  return id;
}

absl::StatusOr<v1::Deployment> UndoDeployment(Draft& draft, const Row<v1::Deployment>& row,
                                              const std::string& cause, const Context& context) {
  const v1::Deployment& done = *row.value;
  if (IsShift(done)) {
    if (!done.rollback_of().empty()) {
      return FailedPrecondition(
          "ROLLBACK_DONE",
          absl::StrCat(done.name(), " is itself the rollback of ",
                       NameOf<v1::Deployment>(done.rollback_of()), "; shift again if you want it"));
    }
    const auto id = UndoShift(draft, row.id, done, cause, context);
    if (!id.ok()) return id.status();
    return Answer<v1::Deployment>(draft, context, *id);
  }
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
  *value.mutable_strategy() = WithoutWaits(done.strategy());
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

}  // namespace remuda::core
