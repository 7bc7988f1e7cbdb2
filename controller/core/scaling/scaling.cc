#include "controller/core/scaling/scaling.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <set>

#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/lifecycle_hooks.h"
#include "controller/core/model/words.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/reconcile/launch_failures.h"
#include "controller/core/reconcile/limits.h"
#include "controller/core/reconcile/placement.h"
#include "controller/core/reconcile/victims.h"
#include "controller/core/scaling/balance.h"
#include "controller/core/scaling/lifetime.h"
#include "controller/core/scaling/warm_pool.h"

namespace remuda::core {
namespace {

// A side sorted by what scaling asks.
struct Counts {
  InstanceList kept;     // up, and to stay
  InstanceList swapped;  // up, and to be replaced
  InstanceList unknown;  // of lost hosts, written off
  int in_service = 0;    // of kept
  int serving = 0;       // of both, in service
  int asked = 0;         // that a person ends, well, and not gone yet
  int ending = 0;        // unhealthy, and not gone yet nor held by hooks
  bool moving = false;   // some are swapped for their host, their zone or their age
  std::string aged;      // the one that is swapped for its age
};

// Instances whose place others that are up take in another zone.
std::set<std::string_view> ReplacedIn(const Side& side) {
  std::set<std::string_view> out;
  for (const auto& [id, row] : side.members) {
    if (!row->replaces().empty() && IsUp(row->state()) && !row->unhealthy()) {
      out.insert(row->replaces());
    }
  }
  return out;
}

Counts CountSide(Pass& pass, const v1::AutoScalingGroup& group, const Side& side,
                 std::string_view deployment) {
  Counts counts;
  counts.aged = OverAged(pass, group, side, deployment);
  const bool keeps_unhealthy = IsSuspended(group, v1::SCALING_PROCESS_REPLACE_UNHEALTHY);
  const std::set<std::string_view> replaced = ReplacedIn(side);
  for (const Member& member : side.members) {
    const v1::Instance& row = *member.second;
    const bool unknown = row.state() == v1::INSTANCE_STATE_UNKNOWN;
    if (unknown && IsWrittenOff(pass, row)) {
      counts.unknown.push_back(member);
      continue;
    }
    if (IsUpdating(row) && !row.terminate_requested()) {
      counts.kept.push_back(member);
      continue;
    }
    if (IsLeavingState(row.state())) {
      counts.ending += row.unhealthy() && row.state() != v1::INSTANCE_STATE_TERMINATING_WAIT;
      counts.asked += !row.unhealthy() && row.terminate_requested();
    }
    if (!unknown && !IsUp(row.state())) continue;
    counts.serving += row.state() == v1::INSTANCE_STATE_IN_SERVICE && !row.unhealthy();
    const bool move = IsOnDrainedHost(pass.draft, row) || member.first == counts.aged ||
                      (replaced.contains(member.first) && !IsProtected(row));
    if ((row.unhealthy() && !keeps_unhealthy) || move || row.terminate_requested()) {
      counts.moving = counts.moving || move;
      counts.swapped.push_back(member);
      continue;
    }
    if (row.state() == v1::INSTANCE_STATE_IN_SERVICE && !row.unhealthy()) ++counts.in_service;
    counts.kept.push_back(member);
  }
  return counts;
}

// Why an instance that is well is to be replaced.
std::string WhyMoved(const Draft& draft, const Counts& counts, const std::string& id,
                     const v1::Instance& row) {
  if (id == counts.aged) return "it is older than max_instance_lifetime";
  if (IsOnDrainedHost(draft, row))
    return absl::StrCat("its host ", row.host(), " is being drained");
  if (row.terminate_requested()) return "a person asked to terminate it";
  return absl::StrCat("another takes its place, so that the zones are balanced (it is in zone ",
                      row.zone(), ")");
}

// Why one more instance is launched.
struct LaunchCause {
  std::string text;
  std::string launched_for;  // Instance.launched_for
};

// Instances that failed and that none has been launched for. Not those that were missing before the
// newest was launched: what is missing now is another.
std::vector<LaunchCause> CausesByFailure(const Pass& pass, const std::string& group_id,
                                         const Side& side, const Counts& counts) {
  Time newest = absl::InfinitePast();
  for (const auto& list : {counts.kept, counts.swapped}) {
    for (const auto& [id, row] : list) newest = std::max(newest, FromProto(row->create_time()));
  }
  const Instances all = pass.draft.InstancesOfGroup(group_id);
  std::set<std::string_view> served;
  for (const auto& [id, row] : all) served.insert(row->launched_for());
  std::vector<LaunchCause> causes;
  for (const auto& [id, row] : all) {
    if (row->in_warm_pool()) continue;
    if (row->state() == v1::INSTANCE_STATE_TERMINATED && row->unhealthy() && !served.contains(id) &&
        IsSame(row->launch_template(), side.launch) && FromProto(row->state_time()) >= newest) {
      causes.push_back(
          {absl::StrCat("instance ", id, " was taken out of service because ", row->state_reason()),
           id});
    }
  }
  // The last to fail first: that those before are missing may be wanted by now.
  std::reverse(causes.begin(), causes.end());
  return causes;
}

// Why the k-th instance of this pass is launched: what it replaces, or that more are desired.
std::vector<LaunchCause> LaunchCauses(const Pass& pass, const std::string& group_id,
                                      const Side& side, const Counts& counts) {
  std::vector<LaunchCause> causes = CausesByFailure(pass, group_id, side, counts);
  std::set<std::string_view> served;  // by one that is up
  for (const auto& [id, row] : counts.kept) served.insert(row->launched_for());
  for (const auto& [id, row] : counts.swapped) {
    if (served.contains(id)) continue;
    const std::string why =
        row->unhealthy() ? row->state_reason() : WhyMoved(pass.draft, counts, id, *row);
    causes.push_back({absl::StrCat("instance ", id, " is to be replaced: ", why), id});
  }
  for (const auto& [id, row] : counts.unknown) {
    if (served.contains(id)) continue;
    causes.push_back({absl::StrCat("host ", row->host(), " of instance ", id, " is lost"), id});
  }
  return causes;
}

// What came of launching.
struct Launched {
  int count = 0;
  Shortage shortage;
  bool has_no_host = false;
  // Ending a swapped instance on this host would make room; empty if none would.
  std::vector<std::string> would_free;
};

// Members of the pool whose ends would make room for `missing` ones, less those that end already.
std::vector<std::string> PoolFrees(const Pass& pass, const std::string& group_id,
                                   const Placement& placement, int missing) {
  std::vector<std::string> out;
  for (const auto& [id, row] : pass.draft.InstancesOfGroup(group_id)) {
    if (!row->in_warm_pool() || !placement.WouldFree(row->host())) continue;
    if (row->state() == v1::INSTANCE_STATE_STOPPING) --missing;
    if (!IsLeavingState(row->state())) out.push_back(id);
  }
  out.resize(std::min(out.size(), static_cast<size_t>(std::max(0, missing))));
  return out;
}

Launched Launch(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group,
                const Side& side, std::string_view deployment, const Counts& counts, int count) {
  Launched out;
  if (std::string why = SuspendedText(group, v1::SCALING_PROCESS_LAUNCH); !why.empty()) {
    out.shortage = {std::move(why), false};
    return out;
  }
  const auto launch = pass.draft.Find<v1::LaunchTemplateVersion>(
      LaunchTemplateKey(side.launch.launch_template(), side.launch.resolved_version()));
  if (launch == nullptr) {
    pass.WaitForHosts();
    out.shortage = {absl::StrCat("launch template ", TextOf(side.launch), " is not there"), true};
    return out;
  }
  const LaunchRecord record = LaunchRecordOf(pass.draft.InstancesOfGroup(group_id).list(),
                                             side.launch, side.deployment, pass.now);
  if (pass.now < record.retry_at) {
    pass.DueAt(record.retry_at);
    out.shortage = {absl::StrCat(FailuresText(record, side.launch), "; the next waits until ",
                                 MomentText(record.retry_at)),
                    false};
    return out;
  }
  pass.WaitForHosts();
  const std::vector<LaunchCause> causes = LaunchCauses(pass, group_id, side, counts);
  Placement placement(
      pass.rooms,
      {.group = group, .launch = side.launch, .wanted = *launch, .spread = side.members});
  const auto batch = static_cast<int>(pass.Batch(static_cast<size_t>(count)));
  const std::vector<std::string> warm =
      WarmFor(pass, group_id, group, side, static_cast<size_t>(batch));
  for (; out.count < batch; ++out.count) {
    const auto k = static_cast<size_t>(out.count);
    const auto up = static_cast<int64_t>(counts.kept.size() + k);
    const LaunchCause more = {
        absl::StrCat(Counted(side.desired, "instance"), " of ", TextOf(side.launch), " ",
                     IsOrAre(side.desired), " desired and ", up, " ", IsOrAre(up), " up"),
        ""};
    const LaunchCause& cause = k < causes.size() ? causes[k] : more;
    NewInstance wish = {.host = "",
                        .cause = cause.text,
                        .deployment = std::string(deployment),
                        .launched_for = cause.launched_for};
    if (k < warm.size()) {
      TakeWarm(pass, warm[k], group, side, wish);
      continue;
    }
    const std::string host = placement.Take();
    if (host.empty()) {
      out.shortage = {placement.WhyNone(), true};
      if (placement.awaited_until() > pass.now) {
        pass.DueAt(placement.awaited_until());
        out.shortage.to_tell = false;
        return out;
      }
      out.has_no_host = true;
      for (const auto& [id, row] : counts.swapped) {
        if (placement.WouldFree(row->host())) out.would_free.push_back(id);
      }
      out.shortage.pool_frees = PoolFrees(pass, group_id, placement, count - out.count);
      return out;
    }
    wish.host = host;
    LaunchOne(pass, group_id, side, *launch, wish);
  }
  if (batch < count) pass.LeaveRest();
  return out;
}

// Drains swapped instances: those whose replacement is in service; and, where there is no room for
// one beside them, as many first as may be missing at once.
void DrainSwapped(Pass& pass, const v1::AutoScalingGroup& group, const Side& side,
                  const Counts& counts, const Launched& launched, bool has_room, int most) {
  const int up = counts.in_service + static_cast<int>(counts.swapped.size());
  // Below 0: so many are missing. Beyond `most` are those that a move brought which has been called
  // off.
  int spare = std::max(up - side.limit,
                       static_cast<int>(counts.kept.size() + counts.swapped.size()) - most);
  // Those that end with nothing in their place yet. What nobody can place at all does not count, or
  // it would hold this up for ever.
  int ending = counts.ending;
  const int bound = std::max(1, side.desired / kReplaceShare);
  const int on_the_way = static_cast<int>(counts.kept.size()) - counts.in_service + launched.count;
  // Those that a person ends go one by one, each when what serves leaves no room for the one in its
  // place: not when that which takes the room is on its way up.
  int serving = counts.serving;
  int asked_ending = counts.asked;
  for (const auto& [id, row] : counts.swapped) {
    const bool makes_room =
        !has_room || std::find(launched.would_free.begin(), launched.would_free.end(), id) !=
                         launched.would_free.end();
    // One that never came into service is no loss.
    const bool pending = row->state() == v1::INSTANCE_STATE_PENDING ||
                         row->state() == v1::INSTANCE_STATE_PENDING_WAIT;
    const bool asked = row->terminate_requested();
    if (!asked && IsSuspended(group, v1::SCALING_PROCESS_TERMINATE)) continue;
    // One that is well would drain and not be ended while silence keeps it: no room would come of
    // it, and those that are there would have one less.
    const bool frees =
        row->unhealthy() || pending || pass.gates.Silenced(group.target_groups()).empty();
    const bool first = (row->unhealthy() && (pending || (makes_room && ending < bound))) ||
                       (asked && frees &&
                        (pending || (!has_room && serving >= most) ||
                         (launched.has_no_host && on_the_way + asked_ending == 0)));
    if (spare <= 0 && !first) continue;
    const bool is_last = spare <= 0 && asked && !pending;
    --spare;
    if (!pending) ++ending;
    if (!pending && !row->unhealthy()) --serving;
    asked_ending += asked;
    pass.Drain(id,
               absl::StrCat(
                   row->unhealthy() ? row->state_reason() : WhyMoved(pass.draft, counts, id, *row),
                   is_last ? "; there is no room to launch its replacement first" : ""),
               row->unhealthy());
  }
}

// Whether one that scale-in takes is good for the warm pool.
bool MayReturn(const Draft& draft, const std::string& id, const v1::AutoScalingGroup& group) {
  const auto row = draft.Find<v1::Instance>(id);
  return row->state() == v1::INSTANCE_STATE_IN_SERVICE && !row->unhealthy() &&
         IsSame(row->launch_template(), group.launch_template());
}

}  // namespace

void LaunchOne(Pass& pass, const std::string& group_id, const Side& side,
               const v1::LaunchTemplateVersion& launch, const NewInstance& wish) {
  const auto host = pass.draft.Find<v1::Host>(wish.host);
  const std::string id =
      absl::StrCat("i-", absl::Hex(pass.draft.Next("instance"), absl::kZeroPad10));
  v1::Instance row;
  row.set_name(absl::StrCat("instances/", id));
  row.set_auto_scaling_group(group_id);
  *row.mutable_launch_template() = Numbered(side.launch);
  row.set_host(wish.host);
  row.set_zone(host->zone());
  row.set_address(host->address());
  row.set_port(launch.port());
  row.set_replaces(wish.replaces);
  row.set_deployment(side.deployment);
  row.set_withheld_by(side.withheld_by);
  row.set_launched_for(wish.launched_for);
  const auto group = pass.draft.Find<v1::AutoScalingGroup>(group_id);
  row.set_in_warm_pool(wish.is_warm);
  if (group != nullptr && !wish.is_warm) {
    row.set_protected_from_scale_in(group->protect_new_instances());
    AddLaunchHooks(*group, row);
  }
  row.set_state(v1::INSTANCE_STATE_PENDING);
  row.set_state_reason(wish.cause);
  *row.mutable_create_time() = ToProto(pass.now);
  *row.mutable_state_time() = ToProto(pass.now);
  row.set_activity(
      pass.Note({.group = group_id,
                 .instance = id,
                 .deployment = wish.deployment,
                 .description = absl::StrCat(
                     "Launching instance ", id, " on host ", wish.host,
                     host->zone().empty() ? "" : absl::StrCat(" (zone ", host->zone(), ")"),
                     ", template ", TextOf(side.launch)),
                 .cause = wish.cause,
                 .status = v1::ACTIVITY_STATUS_IN_PROGRESS}));
  pass.Put(id, std::move(row));
}

bool IsWrittenOff(Pass& pass, const v1::Instance& instance) {
  const Time due = FromProto(instance.state_time()) + pass.seen.patience.replace_lost_after;
  pass.DueAt(due);
  return pass.now >= due && !pass.WasLostWithMost(instance.host());
}

Shortage ConvergeSide(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group,
                      const Side& side, std::string_view deployment) {
  const Counts counts = CountSide(pass, group, side, deployment);
  const int kept = static_cast<int>(counts.kept.size());
  const int swapped = static_cast<int>(counts.swapped.size());
  const bool may_end = group.deleting() || !IsSuspended(group, v1::SCALING_PROCESS_TERMINATE);
  if (kept > side.limit && may_end) {
    const std::string cause =
        group.deleting() ? "the group is being deleted"
        : side.limit == 0 && !deployment.empty()
            ? absl::StrCat("deployment ", std::string(deployment), " leaves ", TextOf(side.launch))
        : side.limit == 0 && IsWithheld(*counts.kept.front().second)
            ? absl::StrCat("deployment ", counts.kept.front().second->withheld_by(),
                           ", which kept traffic from it, has ended")
            : absl::StrCat(Counted(side.limit, "instance"), " ", IsOrAre(side.limit),
                           " desired and ", kept, " ", IsOrAre(kept), " up");
    const auto beyond = static_cast<size_t>(kept - side.limit);
    const bool is_scale_in = deployment.empty() && !group.deleting() &&
                             !(side.limit == 0 && IsWithheld(*counts.kept.front().second));
    InstanceList choice = is_scale_in ? Unprotected(counts.kept) : counts.kept;
    const size_t wanted = std::min(beyond, choice.size());
    const size_t batch = pass.Batch(wanted);
    size_t pool_room = is_scale_in ? PoolRoom(pass, group_id, group) : 0;
    for (const std::string& id : ChooseVictims(pass.gates, group, std::move(choice), batch)) {
      const bool returns = pool_room > 0 && MayReturn(pass.draft, id, group);
      if (returns) {
        --pool_room;
        v1::Instance after = *pass.draft.Find<v1::Instance>(id);
        after.set_in_warm_pool(true);
        pass.draft.Put(id, std::move(after));
      }
      pass.Drain(id, returns ? absl::StrCat(cause, "; it goes back to the warm pool") : cause,
                 false);
    }
    if (batch < wanted) pass.LeaveRest();
  }
  const int missing = side.desired - kept;
  const int most = std::max(MaxOf(group), side.desired) + (counts.moving ? 1 : 0);
  const int room = most - kept - swapped;
  Launched launched;
  if (missing > 0 && room > 0) {
    launched = Launch(pass, group_id, group, side, deployment, counts, std::min(missing, room));
  }
  DrainSwapped(pass, group, side, counts, launched, missing <= 0 || room > 0, most);
  const bool at_rest = missing == 0 && swapped == 0 && counts.unknown.empty() && deployment.empty();
  if (at_rest) BalanceZones(pass, group_id, group, side);
  for (const auto& [id, row] : counts.unknown) {
    const Time forget = FromProto(row->state_time()) + kForgetUnknownAfter;
    if (side.desired > 0) pass.DueAt(forget);
    if (side.desired == 0 || (pass.now >= forget && counts.in_service >= side.desired)) {
      pass.Drain(id, absl::StrCat("its host ", row->host(), " is lost"), false);
    }
  }
  return launched.shortage;
}

}  // namespace remuda::core
