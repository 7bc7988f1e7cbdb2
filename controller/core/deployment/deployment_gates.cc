#include "controller/core/deployment/deployment_gates.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/core/deployment/deployment.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/words.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/reconcile/launches.h"
#include "controller/core/reconcile/limits.h"

namespace remuda::core {
namespace {

using v1::Deployment;

bool IsHealthyNow(const Pass& pass, const DeploymentView& view, const Member& member) {
  const v1::Instance& row = *member.second;
  if (row.state() != v1::INSTANCE_STATE_IN_SERVICE && row.state() != v1::INSTANCE_STATE_UNKNOWN) {
    return false;
  }
  if (row.unhealthy() || ProcessOf(pass.seen, member.first, row).process == Process::kEnded) {
    return false;
  }
  return JudgeByProxies(pass.gates, member.first, view.group).verdict != Verdict::kUnhealthy;
}

// How a set of instances does against the number that is wanted of it.
struct Condition {
  int healthy = 0;
  int lost = 0;  // of what is missing: what was there and failed, not what was only asked for

  // The rule that aborts a bake: more than half of the desired number is lost.
  bool IsFailing(int desired) const { return 2 * lost > desired; }
};

// Whether one that has failed is missed still. While the old instances are ended, for as long as
// that takes: there is no way back from it.
bool CountsAsLost(Pass& pass, const DeploymentView& view, const v1::Instance& row) {
  const Time failed = FromProto(row.state_time());
  if (StageOf(view.row) == Stage::kDraining && failed >= FromProto(view.row.step_time())) {
    return true;
  }
  pass.DueAt(failed + kFailureCounts);
  return pass.now < failed + kFailureCounts;
}

template <class Counts>
Condition ConditionOf(Pass& pass, const DeploymentView& view, int desired, Counts counts) {
  Condition out;
  int failed = 0;
  for (const Member& member : pass.draft.InstancesOfGroup(view.group_id)) {
    const v1::Instance& row = *member.second;
    if (!counts(row)) continue;
    if (IsHealthyNow(pass, view, member)) {
      ++out.healthy;
    } else if (IsLeavingState(row.state())) {
      failed += row.unhealthy() && CountsAsLost(pass, view, row);
    } else {
      failed += row.unhealthy() || row.has_in_service_time();
    }
  }
  out.lost = std::min(failed, std::max(0, desired - out.healthy));
  return out;
}

// What runs the deployment's version.
Condition NewCondition(Pass& pass, const DeploymentView& view) {
  return ConditionOf(pass, view, view.new_side.desired, [&](const v1::Instance& row) {
    return IsSame(row.launch_template(), view.row.to());
  });
}

// What has the traffic while the new instances are launched.
Condition ServingCondition(Pass& pass, const DeploymentView& view) {
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
std::string NotProven(Pass& pass, const DeploymentView& view, const Member& member) {
  if (HasChecks(pass, view.group)) return "";
  const Duration time = std::min(kStableAfter, FromProto(view.row.health_deadline()) / 2);
  const Time until = FromProto(member.second->in_service_time()) + time;
  pass.DueAt(until);
  if (pass.now >= until) return "";
  return absl::StrCat("instance ", member.first, " has no health check and must live for ",
                      DurationText(time));
}

// Why the side may not take the traffic yet; empty if it may: `enough` in service, each
// found healthy by every live proxy that will send to it, and every live proxy has confirmed it.
std::string NotReady(Pass& pass, const DeploymentView& view, const Side& side, int enough) {
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
  std::string out = absl::StrCat(ready, " of ", Counted(enough, "instance"), " of ",
                                 TextOf(side.launch), " ", IsOrAre(enough), " ready");
  const bool is_unexplained = why.empty();  // by those in service
  if (is_unexplained) why = UnhealthyText(pass.gates, side.members, view.group);
  if (!why.empty()) absl::StrAppend(&out, "; ", why);
  if (is_unexplained && !view.group.status().waiting().empty()) {
    absl::StrAppend(&out, "; ", view.group.status().waiting());
  }
  return out;
}

std::string RowUnconfirmed(const Pass& pass, const DeploymentView& view) {
  // Silence proves nothing.
  if (std::string who = pass.gates.Silenced(view.group.target_groups()); !who.empty()) return who;
  if (std::string refusal = pass.gates.Refusal(); !refusal.empty()) return refusal;
  return pass.gates.Unconfirmed(pass.draft.CommitOf<Deployment>(view.id));
}

// How many of the old side must be ready for the traffic to move back. As many as serve now will
// do: more than that may have no room beside them.
int EnoughToShiftBack(const Pass& pass, const DeploymentView& view) {
  return std::min(view.old_side.desired, std::max(1, HealthyOf(pass, view, view.new_side)));
}

// Why the old side may not be given up when the bake is over: it serves nothing any more, but it is
// what a rollback returns to while less than half of the new side is up.
std::string NotHalfUp(const Pass& pass, const DeploymentView& view) {
  const int healthy = HealthyOf(pass, view, view.new_side);
  if (view.row.promoted() || 2 * healthy >= view.new_side.desired) return "";
  return absl::StrCat(healthy, " of ", Counted(view.new_side.desired, "instance"), " of ",
                      TextOf(view.row.to()), " ", IsOrAre(view.new_side.desired), " up");
}

std::string OnlyHealthy(const Pass& pass, const DeploymentView& view) {
  const int desired = view.new_side.desired;
  return absl::StrCat("only ", HealthyOf(pass, view, view.new_side), " of ",
                      Counted(desired, "instance"), " of ", TextOf(view.row.to()), " ",
                      IsOrAre(desired), " healthy");
}

// Whether the deployment is where a failure of the new version leads back. When nothing is left to
// go back to, it leads nowhere.
bool MayFail(const Pass& pass, const DeploymentView& view) {
  switch (StageOf(view.row)) {
    case Stage::kLaunching:
    case Stage::kShifting:
    case Stage::kBaking:
      return true;
    case Stage::kDraining:
      return std::any_of(view.old_side.members.begin(), view.old_side.members.end(),
                         [&](const Member& member) { return CanBeTakenBack(pass, member); });
    default:
      return false;
  }
}

// What the end of the old side waits for.
std::string Draining(Pass& pass, const DeploymentView& view, const Side& side) {
  if (side.members.empty()) return "";
  const auto count = static_cast<int64_t>(side.members.size());
  if (std::string who = pass.gates.Silenced(view.group.target_groups()); !who.empty()) return who;
  if (!side.is_new && IsLettingDown(pass, view)) {
    return absl::StrCat(OnlyHealthy(pass, view), ": ", Counted(count, "old instance"), " ",
                        count == 1 ? "drains" : "drain", " and ", IsOrAre(count),
                        " not ended meanwhile");
  }
  return absl::StrCat(
      Counted(count, side.is_new ? "new instance" : "old instance"), " to drain and end",
      pass.gates.LeftOut().empty() ? "" : "; may still be sent to by ", pass.gates.LeftOut());
}

}  // namespace

std::optional<DeploymentView> Look(const Pass& pass, const Deployment& row, std::string_view id) {
  const auto group = pass.draft.Find<v1::AutoScalingGroup>(row.auto_scaling_group());
  if (group == nullptr) return std::nullopt;
  auto sides = SidesOf(pass.draft, row.auto_scaling_group(), *group, &row);
  return DeploymentView{row.auto_scaling_group(), std::string(id),    *group, row,
                        std::move(sides[0]),      std::move(sides[1])};
}

int HealthyOf(const Pass& pass, const DeploymentView& view, const Side& side) {
  return static_cast<int>(
      std::count_if(side.members.begin(), side.members.end(),
                    [&](const Member& member) { return IsHealthyNow(pass, view, member); }));
}

int EnoughToShift(Pass& pass, const DeploymentView& view) {
  const int desired = view.new_side.desired;
  const Condition serving = ServingCondition(pass, view);
  if (serving.healthy > 0 && !serving.IsFailing(desired)) return desired;
  return std::min(desired, serving.healthy + 1);
}

std::string Obstacle(Pass& pass, const DeploymentView& view) {
  switch (StageOf(view.row)) {
    case Stage::kLaunching:
    case Stage::kBackLaunching: {
      if (std::string why = RowUnconfirmed(pass, view); !why.empty()) return why;
      if (StageOf(view.row) == Stage::kLaunching) {
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
    case Stage::kShifting:
    case Stage::kBackShifting:
      return RowUnconfirmed(pass, view);
    case Stage::kBaking: {
      if (std::string why = RowUnconfirmed(pass, view); !why.empty()) return why;
      const Time end = DeploymentDeadline(view.row);
      if (view.row.promoted() || pass.now >= end) return NotHalfUp(pass, view);
      return absl::StrCat("the old version stays warm until ", MomentText(end));
    }
    case Stage::kDraining:
    case Stage::kBackDraining: {
      const bool is_back = StageOf(view.row) == Stage::kBackDraining;
      return Draining(pass, view, is_back ? view.new_side : view.old_side);
    }
    default:
      return "";
  }
}

bool CanBeTakenBack(const Pass& pass, const Member& member) {
  const auto& [id, row] = member;
  return row->state() == v1::INSTANCE_STATE_DRAINING && !row->unhealthy() && IsWithheld(*row) &&
         !row->terminate_requested() && ProcessOf(pass.seen, id, *row).process == Process::kRunning;
}

bool IsLettingDown(Pass& pass, const DeploymentView& view) {
  if (StageOf(view.row) != Stage::kDraining || view.new_side.desired == 0) return false;
  const Condition condition = NewCondition(pass, view);
  return condition.healthy == 0 || condition.IsFailing(view.new_side.desired);
}

bool IsAllSaid(const Pass& pass, const DeploymentView& view) {
  const auto& ids = view.group.target_groups();
  return RowUnconfirmed(pass, view).empty() &&
         std::all_of(ids.begin(), ids.end(), [&](const std::string& target_group) {
           const auto& serving = pass.gates.Serving(target_group);
           return std::all_of(serving.begin(), serving.end(), [](const LiveProxy* proxy) {
             return proxy->seen != nullptr && proxy->seen->reported;
           });
         });
}

std::string Failure(Pass& pass, const DeploymentView& view) {
  const Stage stage = StageOf(view.row);
  if (!MayFail(pass, view)) return "";
  const LaunchRecord record = LaunchRecordOf(pass.draft.InstancesOfGroup(view.group_id).list(),
                                             view.row.to(), view.id, pass.now);
  const int healthy = HealthyOf(pass, view, view.new_side);
  if (record.failures >= std::max(kDeploymentLaunchFailures, healthy)) {
    return FailuresText(record, view.row.to());
  }
  if (stage == Stage::kLaunching || stage == Stage::kShifting) {
    const Time deadline = FromProto(view.row.create_time()) + FromProto(view.row.health_deadline());
    pass.DueAt(deadline);
    if (pass.now >= deadline && (IsAllSaid(pass, view) || !pass.gates.Refusal().empty())) {
      if (const std::string obstacle = Obstacle(pass, view); !obstacle.empty()) {
        return absl::StrCat("not in service and confirmed within ",
                            DurationText(FromProto(view.row.health_deadline())), ": ", obstacle);
      }
    }
  }
  if (stage == Stage::kLaunching) return "";
  if (NewCondition(pass, view).IsFailing(view.new_side.desired)) {
    return OnlyHealthy(pass, view);
  }
  return "";
}

}  // namespace remuda::core
