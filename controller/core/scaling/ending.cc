#include "controller/core/scaling/ending.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <iterator>

#include "controller/core/deployment/deployment.h"
#include "controller/core/model/capacity.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/reconcile/limits.h"
#include "controller/core/scaling/apart.h"
#include "controller/core/scaling/hooks.h"
#include "controller/core/scaling/warm_pool.h"

namespace remuda::core {
namespace {

// The longest time that requests in flight to the target may take.
Duration DelayOf(const Pass& pass, const std::set<std::string>& target_groups) {
  Duration longest = absl::ZeroDuration();
  for (const std::string& id : target_groups) {
    const auto target_group = pass.draft.Find<v1::TargetGroup>(id);
    if (target_group == nullptr) continue;
    longest = std::max(longest, FromProto(target_group->deregistration_delay()));
  }
  return longest;
}

bool IsConfirmed(Pass& pass, std::optional<int64_t> commit) {
  // The end of a silent proxy's lease may be what is missing.
  pass.DueAt(pass.gates.NextLeaseEnd());
  return pass.gates.Confirmed(commit);
}

// Whether requests in flight have had the delay since `from`.
bool IsDelayOver(Pass& pass, Time from, const std::set<std::string>& busy_in) {
  const Time due = from + DelayOf(pass, busy_in);
  pass.DueAt(due);
  return pass.now >= due;
}

// Until when an instance that no live proxy needs is left running for those that may still send to
// it: their leases are over, but whoever reaches them would get errors if it were gone. Not beyond
// the room that the group has.
Time KeptUntil(const Pass& pass, const v1::AutoScalingGroup& group, const v1::Instance& row,
               bool waits_for_room) {
  if (group.deleting() || row.unhealthy() || waits_for_room) return absl::InfinitePast();
  Time until = absl::InfinitePast();
  for (const std::string& target_group : group.target_groups()) {
    until = std::max(until, pass.gates.CutOffSince(target_group) + kCutOffPatience);
  }
  if (pass.now >= until) return until;
  int all = 0;
  for (const auto& [id, other] : pass.draft.InstancesOfGroup(row.auto_scaling_group())) {
    all += other->state() != v1::INSTANCE_STATE_TERMINATED && !IsApart(*other);
  }
  return all <= MaxOf(group) ? until : absl::InfinitePast();
}

// Nothing is sent to it any more: it comes up again as the version that it is to be.
void ChangeInPlace(Pass& pass, const std::string& id, const v1::Instance& row) {
  std::string deployment;
  ActiveDeployment(pass.draft, row.auto_scaling_group(), &deployment);
  v1::Instance after = row;
  *after.mutable_launch_template() = row.update_to();
  after.clear_update_to();
  // An agent that knows a later one (the controller's store is an older one) heeds only what is
  // later still.
  const ProcessFact fact = ProcessOf(pass.seen, id, row);
  const int known = fact.status == nullptr ? 0 : fact.status->generation();
  after.set_generation(std::max(row.generation(), known) + 1);
  after.set_deployment(deployment);
  after.clear_start_time();
  after.clear_in_service_time();
  after.clear_drain_confirmed_time();
  after.clear_withheld_by();
  after.clear_unhealthy();
  pass.Close(row.activity(), v1::ACTIVITY_STATUS_SUCCESSFUL);
  after.set_activity(
      pass.Note({.group = row.auto_scaling_group(),
                 .instance = id,
                 .deployment = deployment,
                 .description = absl::StrCat("Changing instance ", id, " on host ", row.host(),
                                             " to ", TextOf(row.update_to())),
                 .cause = "every live proxy has confirmed that it sends it nothing",
                 .status = v1::ACTIVITY_STATUS_IN_PROGRESS}));
  pass.draft.Put(id, std::move(after));
  pass.Move(id, v1::INSTANCE_STATE_PENDING, row.state_reason());
}

// Whether every live proxy sends it nothing, and what it has in flight has had its time.
bool HasDrained(Pass& pass, const std::string& id, const v1::Instance& row) {
  if (!row.has_start_time()) return true;  // it was in no proxy's view
  if (!IsConfirmed(pass, pass.draft.CommitOf<v1::Instance>(id))) return false;
  const std::set<std::string>& busy = pass.gates.BusyIn(id);
  if (busy.empty()) return true;
  if (row.has_drain_confirmed_time()) {
    return IsDelayOver(pass, FromProto(row.drain_confirmed_time()), busy);
  }
  // A proxy that heard of it late sent requests until then: they all have the whole delay.
  v1::Instance after = row;
  *after.mutable_drain_confirmed_time() = ToProto(pass.now);
  pass.Put(id, std::move(after));
  return false;
}

void Draining(Pass& pass, const std::string& id, const v1::AutoScalingGroup& group,
              const v1::Instance& row, bool waits_for_room) {
  if (!HasDrained(pass, id, row)) return;
  if (row.has_start_time()) {
    if (DrainsToStay(row) && !group.deleting()) return StayApart(pass, id, row);
    if (IsKeptBySilence(pass, group, row)) return;
    const Time kept_until =
        IsUpdating(row) ? absl::InfinitePast() : KeptUntil(pass, group, row, waits_for_room);
    pass.DueAt(kept_until);
    if (pass.now < kept_until) return;
  }
  if (IsUpdating(row) && !row.terminate_requested() && !group.deleting()) {
    return ChangeInPlace(pass, id, row);
  }
  if (row.in_warm_pool() && ReturnsToPool(pass, id, group, row)) return;
  if (HoldsEnd(pass, id, group)) return;
  pass.Move(id, v1::INSTANCE_STATE_STOPPING, row.state_reason());
}

void Stopping(Pass& pass, const std::string& id, const v1::Instance& row) {
  if (IsLost(pass.seen, row.host(), pass.now)) {
    // Its process, if it still runs, is ended when the host is back: AssignmentFor names it as
    // stopped.
    pass.Terminate(id, absl::StrCat(row.state_reason(), "; its host ", row.host(), " is lost"),
                   false);
    return;
  }
  pass.DueAt(LostAt(pass.seen, row.host()));
  if (ProcessOf(pass.seen, id, row).process != Process::kAwaited) return;
  // It never ran here. Only when the agent has taken up that it shall not is it certain that it
  // will not.
  const auto commit = pass.draft.CommitOf<v1::Instance>(id);
  const auto host = pass.seen.hosts.find(row.host());
  const bool confirmed = commit.has_value() && host != pass.seen.hosts.end() &&
                         host->second.assignment.confirmed_commit() >= *commit;
  const Time limit = FromProto(row.state_time()) + kUnansweredLimit;
  pass.DueAt(limit);
  if (confirmed || pass.now >= limit) pass.Terminate(id, row.state_reason(), false);
}

void BoundHistory(Pass& pass, const std::string& group_id) {
  std::vector<std::pair<Time, std::string>> gone;
  for (const auto& [id, row] : pass.draft.InstancesOfGroup(group_id)) {
    if (row->state() == v1::INSTANCE_STATE_TERMINATED) {
      gone.emplace_back(FromProto(row->state_time()), id);
    }
  }
  std::sort(gone.begin(), gone.end());
  const size_t too_many = gone.size() > kTerminatedKept ? gone.size() - kTerminatedKept : 0;
  for (size_t i = 0; i < gone.size(); ++i) {
    if (i < too_many || pass.now >= gone[i].first + kTerminatedKeptFor) {
      pass.Delete<v1::Instance>(gone[i].second);
    } else {
      pass.DueAt(gone[i].first + kTerminatedKeptFor);
    }
  }
}

}  // namespace

bool IsKeptBySilence(const Pass& pass, const v1::AutoScalingGroup& group, const v1::Instance& row) {
  return row.has_start_time() && !group.deleting() && !row.unhealthy() &&
         !pass.gates.Silenced(group.target_groups()).empty();
}

bool MayStop(Pass& pass, const std::string& id, const v1::AutoScalingGroup& group,
             const v1::Instance& row) {
  return HasDrained(pass, id, row) && !IsKeptBySilence(pass, group, row);
}

void Terminations(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group,
                  bool waits_for_room) {
  const std::string keeper = group_id.empty() ? "" : KeepsOld(pass, group_id);
  const auto is_kept = [&keeper](const v1::Instance& row) {
    return !keeper.empty() && row.withheld_by() == keeper && !row.unhealthy() &&
           !row.terminate_requested() && !DrainsToStay(row);
  };
  for (const auto& [id, row] : pass.draft.InstancesOfGroup(group_id)) {
    if (row->state() == v1::INSTANCE_STATE_DRAINING && !is_kept(*row)) {
      Draining(pass, id, group, *row, waits_for_room);
    }
    if (row->state() == v1::INSTANCE_STATE_TERMINATING_WAIT && !is_kept(*row)) {
      FollowTerminatingHooks(pass, id, group, *row);
    }
    if (row->state() == v1::INSTANCE_STATE_STOPPING) Stopping(pass, id, *row);
  }
  BoundHistory(pass, group_id);
}

void DrainedTargets(Pass& pass) {
  std::vector<std::string> drained;
  pass.draft.ForEach<v1::Target>([&](const std::string& key, const v1::Target& row) {
    if (row.state() != v1::TARGET_STATE_DRAINING) return;
    const std::string target = key.substr(key.rfind('/') + 1);
    if (!IsConfirmed(pass, pass.draft.CommitOf<v1::Target>(key))) return;
    const std::set<std::string>& busy = pass.gates.BusyIn(target);
    if (busy.empty() || IsDelayOver(pass, FromProto(row.drain_start_time()), busy)) {
      drained.push_back(key);
    }
  });
  for (const std::string& key : drained) pass.Delete<v1::Target>(key);
}

void BoundActivities(Pass& pass) {
  const auto counter = pass.draft.Find<store::v1::Counter>("activity");
  if (counter == nullptr || counter->last() <= kActivitiesKept) return;
  const std::string first_kept = absl::StrFormat("%020d", counter->last() - kActivitiesKept + 1);
  std::vector<std::string> old;
  pass.draft.ForEachFrom<v1::Activity>("", [&](const std::string& key, const v1::Activity&) {
    if (key >= first_kept) return false;
    old.push_back(key);
    return true;
  });
  for (const std::string& key : old) pass.Delete<v1::Activity>(key);
}

}  // namespace remuda::core
