#include "controller/core/scaling/warm_pool.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "controller/core/model/capacity.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/lifecycle_hooks.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"
#include "controller/core/model/warm_pool_size.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/reconcile/launch_failures.h"
#include "controller/core/reconcile/placement.h"
#include "controller/core/scaling/ending.h"
#include "controller/core/scaling/lifetime.h"

namespace remuda::core {
namespace {

bool IsPrepared(const ProcessFact& fact) {
  return fact.status != nullptr && fact.status->state() == agent::v1::PROCESS_STATE_PREPARED;
}

// Whether the member is as the pool keeps it.
bool IsReady(const Pass& pass, const v1::AutoScalingGroup& group, const std::string& id,
             const v1::Instance& row) {
  const ProcessFact fact = ProcessOf(pass.seen, id, row);
  if (HasStoppedPool(group)) return IsPrepared(fact);
  return fact.process == Process::kRunning && row.has_start_time();
}

// Whether its host has lost what a member was warm for.
bool IsUnready(const Pass& pass, const std::string& id, const v1::Instance& row) {
  const ProcessFact fact = ProcessOf(pass.seen, id, row);
  return fact.process == Process::kAwaited ||
         (fact.process == Process::kStarting && !IsPrepared(fact));
}

// Why a member is not to stay; empty if it may.
std::string WhyNotKept(const Pass& pass, const v1::AutoScalingGroup& group, const Member& member,
                       bool is_settled) {
  const v1::Instance& row = *member.second;
  if (group.deleting()) return "the group is being deleted";
  if (!group.has_warm_pool()) return "the group has no warm pool any more";
  if (row.unhealthy()) return row.state_reason();
  if (IsOnDrainedHost(pass.draft, row)) {
    return absl::StrCat("its host ", row.host(), " is being drained");
  }
  if (is_settled && !IsSame(row.launch_template(), group.launch_template())) {
    return absl::StrCat("new instances run ", TextOf(group.launch_template()));
  }
  return "";
}

// Ends one that MayStop.
void EndMember(Pass& pass, const Member& member, const std::string& cause) {
  const auto& [id, row] = member;
  pass.Close(row->activity(), v1::ACTIVITY_STATUS_CANCELLED);
  v1::Instance after = *row;
  after.set_activity(
      pass.Note({.group = row->auto_scaling_group(),
                 .instance = id,
                 .description = absl::StrCat("Ending instance ", id, " of the warm pool on host ",
                                             row->host()),
                 .cause = cause,
                 .status = v1::ACTIVITY_STATUS_IN_PROGRESS}));
  pass.draft.Put(id, std::move(after));
  pass.Move(id, v1::INSTANCE_STATE_STOPPING, cause);
}

// Those that are in the pool or on their way into it, the first to end last.
InstanceList MembersOf(const Draft& draft, const std::string& group_id) {
  InstanceList out;
  for (const Member& member : draft.InstancesOfGroup(group_id)) {
    const bool returns = member.second->state() == v1::INSTANCE_STATE_DRAINING &&
                         !member.second->terminate_requested();
    if (!member.second->in_warm_pool()) continue;
    if (IsLeavingState(member.second->state()) && !returns) continue;
    out.push_back(member);
  }
  const auto rank = [](const Member& member) {
    return std::make_tuple(member.second->state() != v1::INSTANCE_STATE_WARM,
                           FromProto(member.second->create_time()), member.first);
  };
  std::sort(out.begin(), out.end(),
            [&](const Member& a, const Member& b) { return rank(a) < rank(b); });
  return out;
}

// The one that is replaced for its age: one after another, the others being ready.
std::string AgedMember(Pass& pass, const v1::AutoScalingGroup& group, const InstanceList& members) {
  if (members.size() < PoolSizeOf(group)) return "";
  for (const auto& [id, row] : members) {
    if (row->state() != v1::INSTANCE_STATE_WARM) return "";
  }
  for (const auto& [id, row] : members) {
    const Time due = AgedAt(group, *row);
    pass.DueAt(due);
    if (pass.now >= due) return id;
  }
  return "";
}

// What of the pool stays; the rest ends.
InstanceList EndRest(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group,
                     const PoolWish& wish) {
  InstanceList kept;
  const size_t size = PoolSizeOf(group);
  const InstanceList members = MembersOf(pass.draft, group_id);
  const bool may_end = !IsSuspended(group, v1::SCALING_PROCESS_TERMINATE);
  const std::string aged = wish.is_settled ? AgedMember(pass, group, members) : "";
  for (const Member& member : members) {
    const v1::Instance& row = *member.second;
    if (row.state() == v1::INSTANCE_STATE_DRAINING) {
      kept.push_back(member);  // ReturnsToPool judges it
      continue;
    }
    std::string why = WhyNotKept(pass, group, member, wish.is_settled);
    if (why.empty() && row.state() == v1::INSTANCE_STATE_UNKNOWN && IsWrittenOff(pass, row)) {
      why = absl::StrCat("its host ", row.host(), " is lost");
    }
    if (why.empty() && may_end && wish.is_settled && kept.size() >= size) {
      why = absl::StrCat("the warm pool is to have ", size);
    }
    if (why.empty() && may_end && wish.to_free.contains(member.first)) {
      why = "the group needs its room";
    }
    if (why.empty() && member.first == aged) why = "it is older than max_instance_lifetime";
    if (why.empty() || !MayStop(pass, member.first, group, row)) {
      kept.push_back(member);
    } else {
      EndMember(pass, member, why);
    }
  }
  return kept;
}

Shortage Fill(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group,
              const InstanceList& kept) {
  const size_t size = PoolSizeOf(group);
  const auto launch = pass.draft.Find<v1::LaunchTemplateVersion>(LaunchTemplateKey(
      group.launch_template().launch_template(), group.launch_template().resolved_version()));
  if (kept.size() >= size || launch == nullptr) return {};
  if (IsSuspended(group, v1::SCALING_PROCESS_LAUNCH)) return {};
  const Side side = {.launch = group.launch_template(), .members = kept};
  const LaunchRecord record =
      LaunchRecordOf(pass.draft.InstancesOfGroup(group_id).list(), side.launch, "", pass.now);
  if (pass.now < record.retry_at) {
    pass.DueAt(record.retry_at);
    return {absl::StrCat("the warm pool waits: ", FailuresText(record, side.launch)), false};
  }
  pass.WaitForHosts();
  Placement placement(
      pass.rooms,
      {.group = group, .launch = side.launch, .wanted = *launch, .spread = side.members});
  const size_t wanted = size - kept.size();
  const size_t batch = pass.Batch(wanted);
  for (size_t i = 0; i < batch; ++i) {
    const std::string host = placement.Take();
    if (host.empty()) {
      pass.DueAt(placement.awaited_until());
      return {
          absl::StrCat("the warm pool lacks ", wanted - i, " of ", size, ": ", placement.WhyNone()),
          false};
    }
    LaunchOne(
        pass, group_id, side, *launch,
        {.host = host,
         .cause = absl::StrCat("the warm pool is to have ", size, ", and has ", kept.size() + i),
         .is_warm = true});
  }
  if (batch < wanted) pass.LeaveRest();
  return {};
}

}  // namespace

void FollowPool(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group) {
  for (const auto& [id, row] : pass.draft.InstancesOfGroup(group_id)) {
    if (!row->in_warm_pool() || row->unhealthy()) continue;
    if (row->state() == v1::INSTANCE_STATE_WARM && IsUnready(pass, id, *row)) {
      // Its host prepares it anew, or it is given up as a launch is.
      pass.Move(id, v1::INSTANCE_STATE_PENDING, "it is neither prepared nor running any more");
    }
    if (row->state() != v1::INSTANCE_STATE_PENDING || !IsReady(pass, group, id, *row)) continue;
    pass.Close(row->activity(), v1::ACTIVITY_STATUS_SUCCESSFUL);
    v1::Instance after = *row;
    after.clear_activity();
    pass.draft.Put(id, std::move(after));
    pass.Move(id, v1::INSTANCE_STATE_WARM, "");
  }
}

Shortage KeepPool(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group,
                  const PoolWish& wish) {
  const InstanceList kept = EndRest(pass, group_id, group, wish);
  if (!wish.is_settled || wish.group_lacks_room || group.deleting()) return {};
  return Fill(pass, group_id, group, kept);
}

std::vector<std::string> WarmFor(const Pass& pass, const std::string& group_id,
                                 const v1::AutoScalingGroup& group, const Side& side,
                                 size_t count) {
  std::map<std::string, size_t> zones;
  for (const auto& [id, row] : side.members) ++zones[row->zone()];
  InstanceList ready;
  for (const Member& member : pass.draft.InstancesOfGroup(group_id)) {
    const auto& [id, row] = member;
    if (row->state() != v1::INSTANCE_STATE_WARM || row->unhealthy()) continue;
    if (!IsSame(row->launch_template(), side.launch)) continue;
    if (IsOnDrainedHost(pass.draft, *row)) continue;
    if (pass.now >= AgedAt(group, *row)) continue;  // it would be replaced at once
    const ProcessFact fact = ProcessOf(pass.seen, id, *row);
    if (IsPrepared(fact) || fact.process == Process::kRunning) ready.push_back(member);
  }
  std::vector<std::string> out;
  while (out.size() < count && !ready.empty()) {
    const auto best =
        std::min_element(ready.begin(), ready.end(), [&](const Member& a, const Member& b) {
          return std::make_tuple(zones[a.second->zone()], FromProto(a.second->create_time()),
                                 a.first) < std::make_tuple(zones[b.second->zone()],
                                                            FromProto(b.second->create_time()),
                                                            b.first);
        });
    ++zones[best->second->zone()];
    out.push_back(best->first);
    ready.erase(best);
  }
  return out;
}

void TakeWarm(Pass& pass, const std::string& id, const v1::AutoScalingGroup& group,
              const Side& side, const NewInstance& wish) {
  v1::Instance after = *pass.draft.Find<v1::Instance>(id);
  // What ran before it came into the pool runs no more.
  if (IsPrepared(ProcessOf(pass.seen, id, after))) after.clear_start_time();
  after.clear_in_warm_pool();
  after.set_deployment(side.deployment);
  after.set_withheld_by(side.withheld_by);
  after.set_launched_for(wish.launched_for);
  after.set_protected_from_scale_in(group.protect_new_instances());
  AddLaunchHooks(group, after);
  after.set_activity(
      pass.Note({.group = after.auto_scaling_group(),
                 .instance = id,
                 .deployment = wish.deployment,
                 .description = absl::StrCat("Taking instance ", id, " on host ", after.host(),
                                             " from the warm pool, template ", TextOf(side.launch)),
                 .cause = wish.cause,
                 .status = v1::ACTIVITY_STATUS_IN_PROGRESS}));
  pass.draft.Put(id, std::move(after));
  pass.Move(id, v1::INSTANCE_STATE_PENDING, wish.cause);
}

size_t PoolRoom(const Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group) {
  if (!group.has_warm_pool() || !group.warm_pool().reuse_on_scale_in()) return 0;
  const size_t members = MembersOf(pass.draft, group_id).size();
  const size_t size = PoolSizeOf(group);
  return size > members ? size - members : 0;
}

bool ReturnsToPool(Pass& pass, const std::string& id, const v1::AutoScalingGroup& group,
                   const v1::Instance& row) {
  if (row.terminate_requested() || row.unhealthy() || PoolSizeOf(group) == 0 ||
      !IsSame(row.launch_template(), group.launch_template()) ||
      MembersOf(pass.draft, row.auto_scaling_group()).size() > PoolSizeOf(group)) {
    return false;
  }
  v1::Instance after = row;
  const bool stops = HasStoppedPool(group);
  if (stops) after.clear_start_time();
  after.clear_in_service_time();
  after.clear_drain_confirmed_time();
  after.clear_withheld_by();
  after.clear_replaces();
  after.clear_launched_for();
  after.clear_deployment();
  after.clear_launch_hooks_done();
  pass.Close(after.activity(), v1::ACTIVITY_STATUS_SUCCESSFUL);
  after.clear_activity();
  pass.draft.Put(id, std::move(after));
  pass.Move(id, stops ? v1::INSTANCE_STATE_PENDING : v1::INSTANCE_STATE_WARM,
            "it went back to the warm pool");
  return true;
}

}  // namespace remuda::core
