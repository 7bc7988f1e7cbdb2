#include "controller/core/reconcile.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "controller/core/deployment/deployment.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/lifecycle_hooks.h"
#include "controller/core/model/shift_row.h"
#include "controller/core/reconcile/clock_step.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/reconcile/host_failures.h"
#include "controller/core/reconcile/instance_transitions.h"
#include "controller/core/reconcile/launch_failures.h"
#include "controller/core/reconcile/limits.h"
#include "controller/core/reconcile/pass.h"
#include "controller/core/reconcile/sides.h"
#include "controller/core/scaling/apart.h"
#include "controller/core/scaling/ending.h"
#include "controller/core/scaling/follow_policies.h"
#include "controller/core/scaling/hooks.h"
#include "controller/core/scaling/scaling.h"
#include "controller/core/scaling/warm_pool.h"

namespace remuda::core {
namespace {

// One step can make the next possible at once (no proxy is live, nothing is desired): rounds until
// nothing changes, so that running Reconcile on its own result yields nothing. More rounds than
// stages would be a bug.
constexpr int kMaxRounds = 32;

// A group that is being deleted stays for so long after its last deployment has ended.
constexpr Duration kEndIsShownFor = absl::Seconds(1);

// Whether a new instance may only wait for one that ends to make room: nothing to tell a person
// yet.
bool HasEnding(const Pass& pass, const std::string& group_id) {
  const Instances of_group = pass.draft.InstancesOfGroup(group_id);
  const InstanceList& all = of_group.list();
  return std::any_of(all.begin(), all.end(), [](const Member& member) {
    return IsLeavingState(member.second->state()) && !DrainsToStay(*member.second) &&
           member.second->state() != v1::INSTANCE_STATE_TERMINATED;
  });
}

// Instances that are not replaced because their hosts were lost with most others.
bool IsHeldByMassLoss(Pass& pass, const InstanceList& all) {
  return std::any_of(all.begin(), all.end(), [&](const Member& member) {
    return member.second->state() == v1::INSTANCE_STATE_UNKNOWN &&
           pass.WasLostWithMost(member.second->host());
  });
}

// Why instances that drain are not ended though nothing else is in the way; empty if none is kept.
std::string HeldBySilence(const Pass& pass, const v1::AutoScalingGroup& group,
                          const InstanceList& all) {
  const bool is_kept = std::any_of(all.begin(), all.end(), [&](const Member& member) {
    return member.second->state() == v1::INSTANCE_STATE_DRAINING &&
           IsKeptBySilence(pass, group, *member.second);
  });
  return is_kept ? pass.gates.Silenced(group.target_groups()) : "";
}

// The first instance on its way up that its agent cannot start yet, and why; empty if there is
// none.
std::string Hindered(const Pass& pass, const InstanceList& all) {
  for (const auto& [id, row] : all) {
    if (row->state() != v1::INSTANCE_STATE_PENDING) continue;
    const ProcessFact fact = ProcessOf(pass.seen, id, *row);
    if (fact.process != Process::kStarting || fact.status->message().empty()) continue;
    return absl::StrCat("instance ", id, " cannot start on host ", row->host(),
                        " yet: ", fact.status->message());
  }
  return "";
}

// Whether one of this version is on its way up: those before it that failed tell what to expect.
bool IsComingUp(const InstanceList& all, const v1::LaunchTemplateRef& launch) {
  return std::any_of(all.begin(), all.end(), [&](const Member& member) {
    return member.second->state() == v1::INSTANCE_STATE_PENDING &&
           IsSame(member.second->launch_template(), launch);
  });
}

// Writes what the group waits for and how its launches go; a new reason to wait is told once.
void WriteStatus(Pass& pass, const std::string& group_id, Shortage shortage) {
  const auto group = pass.draft.Find<v1::AutoScalingGroup>(group_id);
  const Instances of_group = pass.draft.InstancesOfGroup(group_id);
  const InstanceList& all = of_group.list();
  if (shortage.waiting.empty() && IsHeldByMassLoss(pass, all)) {
    shortage = {
        "more than half of the hosts were lost at once: nothing of theirs is replaced until some "
        "are back or deleted",
        true};
  }
  if (shortage.waiting.empty()) shortage = {Hindered(pass, all), false};
  if (shortage.waiting.empty()) shortage = {HeldText(all), false};
  if (shortage.to_tell && HasEnding(pass, group_id)) {
    shortage = {absl::StrCat(shortage.waiting, "; instances that are ending may make room"), false};
  }
  if (shortage.to_tell && shortage.waiting != group->status().waiting()) {
    pass.Note({.group = group_id,
               .description = "Could not bring the group to its desired number of instances",
               .cause = shortage.waiting,
               .status = v1::ACTIVITY_STATUS_FAILED});
  }
  if (const std::string silence = HeldBySilence(pass, *group, all); !silence.empty()) {
    if (group->status().waiting().find(silence) == std::string::npos) {
      pass.Note({.group = group_id,
                 .description = "Instances that were to be ended are left running",
                 .cause = silence,
                 .status = v1::ACTIVITY_STATUS_FAILED});
    }
    absl::StrAppend(&shortage.waiting, shortage.waiting.empty() ? "" : "; ", silence);
  }
  LaunchRecord worst;
  v1::LaunchTemplateRef worst_launch;
  const auto deployment = ActiveDeployment(pass.draft, group_id, nullptr);
  for (const Side& side : SidesOf(pass.draft, group_id, *group, deployment.get())) {
    LaunchRecord record = LaunchRecordOf(all, side.launch, side.deployment, pass.now);
    if (record.failures <= worst.failures || side.desired == 0) continue;
    worst = std::move(record);
    worst_launch = side.launch;
  }
  if (shortage.waiting.empty() && worst.failures > 0 && IsComingUp(all, worst_launch)) {
    shortage.waiting = FailuresText(worst, worst_launch);
  }
  v1::AutoScalingGroup after = *group;
  after.mutable_status()->set_waiting(shortage.waiting);
  after.mutable_status()->set_launch_failures(worst.failures);
  if (worst.failures > 1) {
    *after.mutable_status()->mutable_launch_backoff_until() = ToProto(worst.retry_at);
  } else {
    after.mutable_status()->clear_launch_backoff_until();
  }
  pass.Put(group_id, std::move(after));
}

// When instances of the group become stable, the count of failed launches goes back.
void DueWhenStable(Pass& pass, const std::string& group_id) {
  for (const auto& [id, row] : pass.draft.InstancesOfGroup(group_id)) pass.DueAt(StableAt(*row));
}

void Round(Pass& pass, const std::string& group_id) {
  const auto group = pass.draft.Find<v1::AutoScalingGroup>(group_id);
  FollowHosts(pass, group_id);
  FollowLaunchHooks(pass, group_id, *group);
  FollowPool(pass, group_id, *group);
  BringIntoService(pass, group_id, *group);
  std::string deployment_id;
  for (const Side& side : SidesOf(pass.draft, group_id, *group,
                                  ActiveDeployment(pass.draft, group_id, nullptr).get())) {
    MarkUnhealthy(pass, group_id, *group, side);
  }
  FollowPolicies(pass, group_id);
  StepDeployment(pass, group_id);
  // The step may have changed the group and its sides.
  const auto now_group = pass.draft.Find<v1::AutoScalingGroup>(group_id);
  const auto deployment = ActiveDeployment(pass.draft, group_id, &deployment_id);
  Shortage shortage;
  PoolWish pool = {.is_settled = deployment == nullptr};
  for (const Side& side : SidesOf(pass.draft, group_id, *now_group, deployment.get())) {
    Shortage of_side = ConvergeSide(pass, group_id, *now_group, side, deployment_id);
    pool.group_lacks_room = pool.group_lacks_room || of_side.to_tell;
    pool.to_free.insert(of_side.pool_frees.begin(), of_side.pool_frees.end());
    if (shortage.waiting.empty()) shortage = std::move(of_side);
  }
  const bool waits_for_room = !shortage.waiting.empty();
  Shortage of_pool = KeepPool(pass, group_id, *now_group, pool);
  if (shortage.waiting.empty()) shortage = std::move(of_pool);
  EndApart(pass, group_id, *now_group);
  Terminations(pass, group_id, *now_group, waits_for_room);
  WriteStatus(pass, group_id, std::move(shortage));
}

// A group that is being deleted goes when its last instance has gone.
bool DeleteIfEmpty(Pass& pass, const std::string& group_id) {
  if (!pass.draft.Find<v1::AutoScalingGroup>(group_id)->deleting()) return false;
  const Instances of_group = pass.draft.InstancesOfGroup(group_id);
  const InstanceList& all = of_group.list();
  for (const auto& [id, row] : all) {
    if (row->state() != v1::INSTANCE_STATE_TERMINATED) return false;
  }
  const std::vector<std::string> deployments = DeploymentsOf(pass.draft, group_id);
  for (const std::string& id : deployments) {
    // Who watches one that ends with the group sees how it ended before it goes.
    const auto row = pass.draft.Find<v1::Deployment>(id);
    const Time forget = FromProto(row->end_time()) + kEndIsShownFor;
    if (pass.now < forget) {
      pass.DueAt(forget);
      return false;
    }
  }
  for (const std::string& id : deployments) pass.Delete<v1::Deployment>(id);
  for (const auto& [id, row] : all) pass.Delete<v1::Instance>(id);
  pass.Note({.group = group_id,
             .description = absl::StrCat("Deleted group ", group_id),
             .cause = "its last instance is gone"});
  pass.Delete<v1::AutoScalingGroup>(group_id);
  return true;
}

// Deployments of groups that were deleted before they took theirs along.
void ForgetDeployments(Pass& pass) {
  std::vector<std::string> orphans;
  pass.draft.ForEach<v1::Deployment>([&](const std::string& id, const v1::Deployment& row) {
    if (IsShift(row)) return;  // ReconcileShift's
    if (pass.draft.Find<v1::AutoScalingGroup>(row.auto_scaling_group()) == nullptr) {
      orphans.push_back(id);
    }
  });
  for (const std::string& id : orphans) pass.Delete<v1::Deployment>(id);
}

// Writes when proxies that do not count any more were last there, so that a controller that begins
// knows who was lost together.
void FollowLostProxies(Pass& pass) {
  std::vector<std::pair<std::string, v1::Proxy>> changed;
  pass.draft.ForEach<v1::Proxy>([&](const std::string& id, const v1::Proxy& row) {
    const auto it = pass.seen.proxies.find(id);
    const ProxyObservation* observed = it == pass.seen.proxies.end() ? nullptr : &it->second;
    if (observed != nullptr && observed->connected) {
      if (!row.has_last_seen_time()) return;
      changed.emplace_back(id, row);
      changed.back().second.clear_last_seen_time();
    } else if (IsLive(pass.seen, observed, pass.now)) {
      pass.DueAt(LastSeen(pass.seen, observed) + pass.seen.patience.proxy_lease);
    } else {
      changed.emplace_back(id, row);
      *changed.back().second.mutable_last_seen_time() =
          ToProto(LastThere(pass.seen, row, observed));
    }
  });
  for (auto& [id, row] : changed) pass.Put(id, std::move(row));
}

std::set<std::string> HostsOf(const Draft& draft) {
  std::set<std::string> out;
  draft.ForEach<v1::Host>([&](const std::string& id, const v1::Host&) { out.insert(id); });
  return out;
}

// Whether the shift has to be looked at again: it is under way, or is shown after the end of its
// load balancer.
bool ReconcileShift(Pass& pass, const std::string& id) {
  bool is_active = false;
  for (int round = 0; round < kMaxRounds; ++round) {
    is_active = StepShift(pass, id);
    if (!pass.TakeChanged()) break;
  }
  const auto row = pass.draft.Find<v1::Deployment>(id);
  if (row == nullptr || is_active ||
      pass.draft.Find<v1::LoadBalancer>(BalancerOf(row->shift())) != nullptr) {
    return is_active;
  }
  const Time forget = FromProto(row->end_time()) + kEndIsShownFor;
  pass.DueAt(forget);
  if (pass.now < forget) return true;
  pass.Delete<v1::Deployment>(id);
  return false;
}

// Instances that were detached: they are of no group, and run on until a person ends them.
void ReconcileDetached(Pass& pass) {
  DateBack(pass, std::string(kNoGroup));
  for (int round = 0; round < kMaxRounds; ++round) {
    FollowHosts(pass, std::string(kNoGroup));
    Terminations(pass, std::string(kNoGroup), v1::AutoScalingGroup(), false);
    if (!pass.TakeChanged()) break;
  }
}

void ReconcileGroup(Pass& pass, const std::string& group_id) {
  if (group_id == kNoGroup) return ReconcileDetached(pass);
  if (pass.draft.Find<v1::AutoScalingGroup>(group_id) == nullptr) return;
  DateBack(pass, group_id);
  pass.TakeChanged();
  for (int round = 0; round < kMaxRounds; ++round) {
    Round(pass, group_id);
    if (!pass.TakeChanged()) break;
  }
  if (DeleteIfEmpty(pass, group_id)) return;
  DueWhenStable(pass, group_id);
}

// Whether there is something to look at again.
bool IsThere(const Draft& draft, const std::string& group_id) {
  return group_id == kNoGroup ? !draft.InstancesOfGroup(group_id).list().empty()
                              : draft.Find<v1::AutoScalingGroup>(group_id) != nullptr;
}

// All shifts and groups: what one does may let another go on.
void ReconcileShiftsAndGroups(Pass& pass, const std::vector<std::string>& groups, Agendum& out) {
  for (int round = 0; round < kMaxRounds; ++round) {
    const size_t before = pass.count();
    for (const std::string& key : groups) {
      if (!key.starts_with(kShiftKeys)) continue;
      const bool is_active = ReconcileShift(pass, key.substr(kShiftKeys.size()));
      Waits waits = pass.TakeWaits();
      if (is_active) out.groups[key] = std::move(waits);
    }
    if (round > 0 && pass.count() == before) return;
    if (std::none_of(groups.begin(), groups.end(),
                     [](const std::string& key) { return key.starts_with(kShiftKeys); })) {
      return;
    }
    for (const std::string& group : groups) {
      if (group.starts_with(kShiftKeys)) continue;
      ReconcileGroup(pass, group);
      Waits waits = pass.TakeWaits();
      if (IsThere(pass.draft, group)) out.groups[group] = std::move(waits);
    }
  }
}

}  // namespace

Agendum ReconcileSome(Draft& draft, const Observations& seen, Time now, const Scope& scope) {
  Pass pass(draft, seen, now, scope.max_edits, scope.batch);
  pass.rooms.LeaveOut(scope.hosts_left);
  Agendum out;
  for (const std::string& host : scope.housekeeping ? HostsOf(draft) : scope.hosts) {
    FollowLostHost(pass, host);
    if (const Time lost = pass.TakeDue(); lost != absl::InfiniteFuture()) out.hosts[host] = lost;
  }
  if (scope.housekeeping || scope.proxies) FollowLostProxies(pass);
  std::vector<std::string> groups;
  if (scope.groups.has_value()) {
    groups.assign(scope.groups->begin(), scope.groups->end());
  } else {
    draft.ForEach<v1::AutoScalingGroup>(
        [&](const std::string& id, const v1::AutoScalingGroup&) { groups.push_back(id); });
    if (IsThere(draft, std::string(kNoGroup))) groups.emplace_back(kNoGroup);
    draft.ForEach<v1::Deployment>([&](const std::string& id, const v1::Deployment& row) {
      if (IsShift(row)) groups.push_back(std::string(kShiftKeys) + id);
    });
  }
  if (!scope.groups.has_value() || scope.orphans) ForgetDeployments(pass);
  out.all = pass.TakeDue();
  bool is_first = true;
  for (const std::string& group : groups) {
    const bool is_enough = !std::exchange(is_first, false) && pass.count() >= scope.max_edits;
    if (is_enough || scope.left.contains(group)) {
      out.left.insert(group);
      continue;
    }
    if (group.starts_with(kShiftKeys)) {
      const bool is_active = ReconcileShift(pass, group.substr(kShiftKeys.size()));
      Waits waits = pass.TakeWaits();
      if (is_active) out.groups[group] = std::move(waits);
      continue;
    }
    pass.balances = !scope.balanced.contains(group);
    ReconcileGroup(pass, group);
    if (pass.TakeCut()) out.left.insert(group);
    Waits waits = pass.TakeWaits();
    if (IsThere(draft, group)) out.groups[group] = std::move(waits);
  }
  if (!scope.groups.has_value()) ReconcileShiftsAndGroups(pass, groups, out);
  if (scope.housekeeping || scope.targets) {
    DrainedTargets(pass);
    out.targets = pass.TakeWaits();
  }
  BoundActivities(pass);
  return out;
}

Time Reconcile(Draft& draft, const Observations& seen, Time now, const Scope& scope) {
  const Agendum agendum = ReconcileSome(draft, seen, now, scope);
  Time due = agendum.all;
  for (const auto& [host, lost] : agendum.hosts) due = std::min(due, lost);
  if (agendum.targets.has_value()) due = std::min(due, agendum.targets->due);
  for (const auto& [group, waits] : agendum.groups) due = std::min(due, waits.due);
  return due;
}

}  // namespace remuda::core
