#include "controller/core/deployment.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/core/health.h"

namespace remuda::core {
namespace {

using v1::Deployment;
using v1::DeploymentPhase;

// A group's deployment with what its gates look at.
struct View {
  std::string group_id;
  std::string id;
  v1::AutoScalingGroup group;
  Deployment row;
  Side old_side;
  Side new_side;
};

std::optional<View> Look(const Pass& pass, const Deployment& row, std::string_view id) {
  const auto group = pass.draft.Find<v1::AutoScalingGroup>(row.auto_scaling_group());
  if (group == nullptr) return std::nullopt;
  auto sides = SidesOf(pass.draft, row.auto_scaling_group(), *group, &row);
  return View{row.auto_scaling_group(), std::string(id),    *group, row,
              std::move(sides[0]),      std::move(sides[1])};
}

bool IsHealthyNow(const Pass& pass, const View& view, const Member& member) {
  const v1::Instance& row = *member.second;
  if (row.state() != v1::INSTANCE_STATE_IN_SERVICE && row.state() != v1::INSTANCE_STATE_UNKNOWN) {
    return false;
  }
  if (row.unhealthy() || ProcessOf(pass.seen, member.first, row).process == Process::kEnded) {
    return false;
  }
  return JudgeByProxies(pass.gates, member.first, view.group).verdict != Verdict::kUnhealthy;
}

int HealthyOf(const Pass& pass, const View& view, const Side& side) {
  return static_cast<int>(
      std::count_if(side.members.begin(), side.members.end(),
                    [&](const Member& member) { return IsHealthyNow(pass, view, member); }));
}

// How a set of instances does against the number that is wanted of it.
struct Condition {
  int healthy = 0;
  int lost = 0;  // of what is missing: what was there and failed, not what was only asked for

  // The rule that aborts a bake: more than half of the desired number is lost.
  bool IsFailing(int desired) const { return 2 * lost > desired; }
};

template <class Counts>
Condition ConditionOf(const Pass& pass, const View& view, int desired, Counts counts) {
  Condition out;
  int failed = 0;
  for (const Member& member : pass.draft.InstancesOfGroup(view.group_id)) {
    const v1::Instance& row = *member.second;
    if (!counts(row)) continue;
    if (IsHealthyNow(pass, view, member)) {
      ++out.healthy;
    } else if (IsLeavingState(row.state())) {
      failed += row.unhealthy() && pass.now < FromProto(row.state_time()) + kFailureCounts;
    } else {
      failed += row.unhealthy() || row.has_in_service_time();
    }
  }
  out.lost = std::min(failed, std::max(0, desired - out.healthy));
  return out;
}

// What runs the deployment's version.
Condition NewCondition(const Pass& pass, const View& view) {
  return ConditionOf(pass, view, view.new_side.desired, [&](const v1::Instance& row) {
    return IsSame(row.launch_template(), view.row.to());
  });
}

// What has the traffic while the new instances are launched.
Condition ServingCondition(const Pass& pass, const View& view) {
  return ConditionOf(pass, view, view.new_side.desired,
                     [](const v1::Instance& row) { return !IsWithheld(row); });
}

// Whether checks of live proxies tell that an instance of the group works.
bool HasChecks(const Pass& pass, const v1::AutoScalingGroup& group) {
  const auto& ids = group.target_groups();
  return std::any_of(ids.begin(), ids.end(), [&](const std::string& target_group) {
    return !pass.gates.Serving(target_group).empty();
  });
}

// Why an instance that is in service has not shown yet that it stays there; empty if it has. Where
// no check tells that it works, only its living does.
std::string NotProven(Pass& pass, const View& view, const Member& member) {
  if (HasChecks(pass, view.group)) return "";
  const Duration time = std::min(kStableAfter, FromProto(view.row.health_deadline()) / 2);
  const Time until = FromProto(member.second->in_service_time()) + time;
  pass.DueAt(until);
  if (pass.now >= until) return "";
  return absl::StrCat("instance ", member.first, " has no health check and must live for ",
                      absl::FormatDuration(time));
}

// Why the side may not take the traffic yet; empty if it may: `enough` in service, each
// found healthy by every live proxy that will send to it, and every live proxy has confirmed it.
std::string NotReady(Pass& pass, const View& view, const Side& side, int enough) {
  int ready = 0;
  std::string why;
  for (const Member& member : side.members) {
    const auto& [id, row] = member;
    if (row->state() != v1::INSTANCE_STATE_IN_SERVICE || row->unhealthy()) continue;
    std::string reason = NotHealthyAt(pass.gates, id, view.group);
    if (reason.empty()) reason = NotProven(pass, view, member);
    if (reason.empty()) {
      reason = pass.gates.Unconfirmed(pass.draft.CommitOf<v1::Instance>(id));
      if (!reason.empty()) reason = absl::StrCat("instance ", id, ": ", reason);
    }
    if (reason.empty()) {
      ++ready;
    } else if (why.empty()) {
      why = std::move(reason);
    }
  }
  if (ready >= enough) return "";
  std::string out =
      absl::StrCat(ready, " of ", enough, " instances of ", TextOf(side.launch), " are ready");
  if (!why.empty()) absl::StrAppend(&out, "; ", why);
  if (why.empty() && !view.group.status().waiting().empty()) {
    absl::StrAppend(&out, "; ", view.group.status().waiting());
  }
  return out;
}

std::string RowUnconfirmed(const Pass& pass, const View& view) {
  if (std::string refusal = pass.gates.Refusal(); !refusal.empty()) return refusal;
  return pass.gates.Unconfirmed(pass.draft.CommitOf<Deployment>(view.id));
}

// How many of the new side must be ready for the traffic to move. All, unless what serves is
// failing: then more than serve now are better.
int EnoughToShift(const Pass& pass, const View& view) {
  const int desired = view.new_side.desired;
  const Condition serving = ServingCondition(pass, view);
  if (serving.healthy > 0 && !serving.IsFailing(desired)) return desired;
  return std::min(desired, serving.healthy + 1);
}

// The same for the way back. As many as serve now will do: more than that may have no room beside
// them.
int EnoughToShiftBack(const Pass& pass, const View& view) {
  return std::min(view.old_side.desired, std::max(1, HealthyOf(pass, view, view.new_side)));
}

// Why the old side may not be given up when the bake is over: it serves nothing any more, but it is
// what a rollback returns to while less than half of the new side is up.
std::string NotHalfUp(const Pass& pass, const View& view) {
  const int healthy = HealthyOf(pass, view, view.new_side);
  if (view.row.promoted() || 2 * healthy >= view.new_side.desired) return "";
  return absl::StrCat(healthy, " of ", view.new_side.desired, " instances of ",
                      TextOf(view.row.to()), " are up");
}

// What keeps the deployment from its next phase; empty: nothing.
std::string Obstacle(Pass& pass, const View& view) {
  switch (view.row.phase()) {
    case v1::DEPLOYMENT_PHASE_LAUNCHING:
    case v1::DEPLOYMENT_PHASE_ROLLBACK_LAUNCHING: {
      if (std::string why = RowUnconfirmed(pass, view); !why.empty()) return why;
      if (view.row.phase() == v1::DEPLOYMENT_PHASE_LAUNCHING) {
        return NotReady(pass, view, view.new_side, EnoughToShift(pass, view));
      }
      // While the new side fails its users, a part of the old one is better than none.
      if (const Condition serving = NewCondition(pass, view);
          serving.IsFailing(view.new_side.desired) &&
          HealthyOf(pass, view, view.old_side) > serving.healthy) {
        return "";
      }
      return NotReady(pass, view, view.old_side, EnoughToShiftBack(pass, view));
    }
    case v1::DEPLOYMENT_PHASE_SHIFTING:
    case v1::DEPLOYMENT_PHASE_ROLLBACK_SHIFTING:
      return RowUnconfirmed(pass, view);
    case v1::DEPLOYMENT_PHASE_BAKING: {
      if (std::string why = RowUnconfirmed(pass, view); !why.empty()) return why;
      const Time end = DeploymentDeadline(view.row);
      if (view.row.promoted() || pass.now >= end) return NotHalfUp(pass, view);
      return absl::StrCat("the old version stays warm until ",
                          absl::FormatTime(end, absl::UTCTimeZone()));
    }
    case v1::DEPLOYMENT_PHASE_DRAINING:
    case v1::DEPLOYMENT_PHASE_ROLLBACK_DRAINING: {
      const Side& side =
          view.row.phase() == v1::DEPLOYMENT_PHASE_DRAINING ? view.old_side : view.new_side;
      if (side.members.empty()) return "";
      return absl::StrCat(side.members.size(), side.is_new ? " new" : " old", " instance",
                          side.members.size() == 1 ? "" : "s", " to drain and end",
                          pass.gates.LeftOut().empty() ? "" : "; may still be sent to by ",
                          pass.gates.LeftOut());
    }
    default:
      return "";
  }
}

// Why it should be rolled back without being asked; empty if not.
std::string Failure(Pass& pass, const View& view) {
  const DeploymentPhase phase = view.row.phase();
  if (phase != v1::DEPLOYMENT_PHASE_LAUNCHING && phase != v1::DEPLOYMENT_PHASE_SHIFTING &&
      phase != v1::DEPLOYMENT_PHASE_BAKING) {
    return "";
  }
  const LaunchRecord record =
      LaunchRecordOf(pass.draft.InstancesOfGroup(view.group_id), view.row.to(), view.id, pass.now);
  const int healthy = HealthyOf(pass, view, view.new_side);
  if (record.failures >= std::max(kDeploymentLaunchFailures, healthy)) {
    return absl::StrCat(record.failures, " launches of ", TextOf(view.row.to()),
                        " failed in a row; the last: ", record.last_cause);
  }
  if (phase == v1::DEPLOYMENT_PHASE_LAUNCHING || phase == v1::DEPLOYMENT_PHASE_SHIFTING) {
    const Time deadline = DeploymentDeadline(view.row);
    pass.DueAt(deadline);
    if (pass.now >= deadline) {
      return absl::StrCat("not in service and confirmed within ",
                          absl::FormatDuration(FromProto(view.row.health_deadline())), ": ",
                          Obstacle(pass, view));
    }
  }
  if (phase == v1::DEPLOYMENT_PHASE_LAUNCHING) return "";
  if (NewCondition(pass, view).IsFailing(view.new_side.desired)) {
    return absl::StrCat("only ", healthy, " of ", view.new_side.desired, " instances of ",
                        TextOf(view.row.to()), " are healthy");
  }
  return "";
}

const char* Describe(DeploymentPhase phase) {
  switch (phase) {
    case v1::DEPLOYMENT_PHASE_SHIFTING:
      return "Moving the traffic to ";
    case v1::DEPLOYMENT_PHASE_BAKING:
      return "All traffic is moved; the old version stays warm beside ";
    case v1::DEPLOYMENT_PHASE_DRAINING:
      return "Draining the version before ";
    case v1::DEPLOYMENT_PHASE_ROLLBACK_LAUNCHING:
      return "Rolling back: bringing back the version before ";
    case v1::DEPLOYMENT_PHASE_ROLLBACK_SHIFTING:
      return "Rolling back: moving the traffic away from ";
    case v1::DEPLOYMENT_PHASE_ROLLBACK_DRAINING:
      return "Rolling back: draining ";
    case v1::DEPLOYMENT_PHASE_ROLLED_BACK:
      return "Rolled back ";
    default:
      return "Deployed ";
  }
}

void Enter(Pass& pass, const View& view, DeploymentPhase phase, const std::string& cause,
           const std::string& rollback_reason) {
  Deployment after = view.row;
  after.set_phase(phase);
  *after.mutable_phase_time() = ToProto(pass.now);
  if (!rollback_reason.empty()) after.set_rollback_reason(rollback_reason);
  if (phase == v1::DEPLOYMENT_PHASE_BAKING) {
    *after.mutable_shift_confirmed_time() = ToProto(pass.now);
  }
  const bool ended =
      phase == v1::DEPLOYMENT_PHASE_SUCCEEDED || phase == v1::DEPLOYMENT_PHASE_ROLLED_BACK;
  if (ended) {
    *after.mutable_end_time() = ToProto(pass.now);
    pass.Close(after.activity(), phase == v1::DEPLOYMENT_PHASE_SUCCEEDED
                                     ? v1::ACTIVITY_STATUS_SUCCESSFUL
                                     : v1::ACTIVITY_STATUS_FAILED);
    after.clear_activity();
  }
  pass.Note({.group = view.group_id,
             .deployment = view.id,
             .description = absl::StrCat(Describe(phase), TextOf(view.row.to())),
             .cause = absl::StrCat(
                 cause, pass.gates.LeftOut().empty() ? "" : "; not asked, for its lease is over: ",
                 pass.gates.LeftOut())});
  pass.Put(view.id, std::move(after));
}

// The activity that spans the whole deployment.
void Announce(Pass& pass, const View& view) {
  Deployment after = view.row;
  after.set_activity(pass.Note(
      {.group = view.group_id,
       .deployment = view.id,
       .description = absl::StrCat("Deploying ", TextOf(view.row.to()), " in place of ",
                                   TextOf(view.row.from())),
       .cause = after.rollback_of().empty()
                    ? "a deployment was asked for"
                    : absl::StrCat("deployment ", after.rollback_of(), " is to be undone"),
       .status = v1::ACTIVITY_STATUS_IN_PROGRESS}));
  pass.Put(view.id, std::move(after));
}

// What new instances of the group run from now on, by the deployment's word.
void SetTemplate(Pass& pass, const View& view, const v1::LaunchTemplateRef& launch) {
  v1::AutoScalingGroup after = view.group;
  *after.mutable_launch_template() = launch;
  after.set_launch_template_set_by(view.id);
  pass.Put(view.group_id, std::move(after));
}

// Gives the traffic to one side and keeps it from the other.
void MoveTraffic(Pass& pass, const View& view, const Side& to, const Side& from) {
  for (const Side* side : {&to, &from}) {
    for (const auto& [id, row] : side->members) {
      // What drains already gets none: it needs no word, and would have to be confirmed again.
      if (IsLeavingState(row->state())) continue;
      v1::Instance after = *row;
      after.set_withheld_by(side == &to ? "" : view.id);
      pass.Put(id, std::move(after));
    }
  }
}

// Old instances that drain for the deployment but still run are taken back, as many as are missing.
void TakeBack(Pass& pass, const View& view) {
  int missing = view.old_side.desired;
  for (const auto& [id, row] : view.old_side.members) {
    const bool up = IsUp(row->state()) || row->state() == v1::INSTANCE_STATE_UNKNOWN;
    if (up && !row->unhealthy()) --missing;
  }
  for (const auto& [id, row] : view.old_side.members) {
    if (missing <= 0) return;
    if (row->state() != v1::INSTANCE_STATE_DRAINING || row->unhealthy() || !IsWithheld(*row) ||
        row->terminate_requested() || ProcessOf(pass.seen, id, *row).process != Process::kRunning) {
      continue;
    }
    pass.Close(row->activity(), v1::ACTIVITY_STATUS_CANCELLED);
    v1::Instance after = *row;
    after.clear_activity();
    after.clear_drain_confirmed_time();
    pass.draft.Put(id, std::move(after));
    pass.Move(id, v1::INSTANCE_STATE_PENDING, "taken back by a rollback");
    --missing;
  }
}

void Advance(Pass& pass, const View& view) {
  switch (view.row.phase()) {
    case v1::DEPLOYMENT_PHASE_LAUNCHING: {
      const int enough = EnoughToShift(pass, view);
      MoveTraffic(pass, view, view.new_side, view.old_side);
      Enter(pass, view, v1::DEPLOYMENT_PHASE_SHIFTING,
            enough == view.new_side.desired
                ? absl::StrCat("every live proxy finds all ", enough, " new instances healthy")
                : absl::StrCat("what served is failing, and ", enough, " of ",
                               view.new_side.desired, " new instances are more"),
            "");
      return;
    }
    case v1::DEPLOYMENT_PHASE_SHIFTING:
      Enter(pass, view, v1::DEPLOYMENT_PHASE_BAKING, "every live proxy has confirmed the shift",
            "");
      return;
    case v1::DEPLOYMENT_PHASE_BAKING:
      SetTemplate(pass, view, view.row.to());
      Enter(pass, view, v1::DEPLOYMENT_PHASE_DRAINING,
            view.row.promoted() ? "it was promoted" : "its bake time is over", "");
      return;
    case v1::DEPLOYMENT_PHASE_DRAINING:
      Enter(pass, view, v1::DEPLOYMENT_PHASE_SUCCEEDED, "the old instances are gone", "");
      return;
    case v1::DEPLOYMENT_PHASE_ROLLBACK_LAUNCHING:
      MoveTraffic(pass, view, view.old_side, view.new_side);
      Enter(pass, view, v1::DEPLOYMENT_PHASE_ROLLBACK_SHIFTING, "the old version is ready", "");
      return;
    case v1::DEPLOYMENT_PHASE_ROLLBACK_SHIFTING:
      Enter(pass, view, v1::DEPLOYMENT_PHASE_ROLLBACK_DRAINING,
            "every live proxy has confirmed the shift back", "");
      return;
    case v1::DEPLOYMENT_PHASE_ROLLBACK_DRAINING:
      Enter(pass, view, v1::DEPLOYMENT_PHASE_ROLLED_BACK, view.row.rollback_reason(), "");
      return;
    default:
      return;
  }
}

bool IsRollback(DeploymentPhase phase) {
  return phase == v1::DEPLOYMENT_PHASE_ROLLBACK_LAUNCHING ||
         phase == v1::DEPLOYMENT_PHASE_ROLLBACK_SHIFTING ||
         phase == v1::DEPLOYMENT_PHASE_ROLLBACK_DRAINING;
}

}  // namespace

Time DeploymentDeadline(const Deployment& deployment) {
  switch (deployment.phase()) {
    case v1::DEPLOYMENT_PHASE_LAUNCHING:
    case v1::DEPLOYMENT_PHASE_SHIFTING:
      return FromProto(deployment.create_time()) + FromProto(deployment.health_deadline());
    case v1::DEPLOYMENT_PHASE_BAKING:
      return FromProto(deployment.shift_confirmed_time()) +
             FromProto(deployment.strategy().blue_green().bake());
    default:
      return absl::InfiniteFuture();
  }
}

std::string DeploymentWaiting(Pass& pass, const Deployment& deployment,
                              std::string_view deployment_id) {
  if (deployment.paused()) return "it is paused";
  const auto view = Look(pass, deployment, deployment_id);
  if (!view.has_value()) return "";
  if (deployment.automatic_rollback_disabled()) {
    if (std::string failure = Failure(pass, *view); !failure.empty()) return failure;
  }
  return Obstacle(pass, *view);
}

void StepDeployment(Pass& pass, const std::string& group_id) {
  std::string id;
  const auto row = ActiveDeployment(pass.draft, group_id, &id);
  if (row == nullptr) return;
  const View view = *Look(pass, *row, id);
  if (view.group.deleting()) {
    Enter(pass, view, v1::DEPLOYMENT_PHASE_ROLLED_BACK, "the group is being deleted",
          "the group is being deleted");
    return;
  }
  if (row->activity().empty()) {
    Announce(pass, view);
    return;
  }
  if (IsRollback(row->phase())) SetTemplate(pass, view, row->from());
  if (row->paused()) return;
  if (row->phase() == v1::DEPLOYMENT_PHASE_ROLLBACK_LAUNCHING) TakeBack(pass, view);
  if (!row->automatic_rollback_disabled()) {
    if (const std::string why = Failure(pass, view); !why.empty()) {
      Enter(pass, view,
            row->phase() == v1::DEPLOYMENT_PHASE_LAUNCHING
                ? v1::DEPLOYMENT_PHASE_ROLLBACK_DRAINING
                : v1::DEPLOYMENT_PHASE_ROLLBACK_LAUNCHING,
            why, why);
      return;
    }
  }
  if (Obstacle(pass, view).empty()) {
    Advance(pass, view);
    return;
  }
  pass.DueAt(DeploymentDeadline(*row));
  pass.DueAt(pass.gates.NextLeaseEnd());
}

}  // namespace remuda::core
