#include "controller/core/reconcile/instance_transitions.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>

#include "controller/core/model/capacity.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/words.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/reconcile/launch_failures.h"
#include "controller/core/reconcile/limits.h"

namespace remuda::core {
namespace {

// When failed checks begin to count: a grace after the process began, or after the instance was
// taken back.
Time GraceEnd(const v1::AutoScalingGroup& group, const v1::Instance& row) {
  Time from = FromProto(row.start_time());
  if (row.state() == v1::INSTANCE_STATE_PENDING) {
    from = std::max(from, FromProto(row.state_time()));
  }
  return from + FromProto(group.health_check_grace_period());
}

// Where a launch that its agent has taken up is.
OnTheWay WayOf(const Observations& seen, const std::string& id, const v1::Instance& row) {
  const auto host = seen.hosts.find(row.host());
  if (host != seen.hosts.end()) {
    const auto it = host->second.on_the_way.find(id);
    if (it != host->second.on_the_way.end()) return it->second;
  }
  return {.since = FromProto(row.state_time())};
}

// Gives a launch that does not run yet up if it has had its time. Whether it did.
bool GiveUp(Pass& pass, const std::string& id, const v1::Instance& row, const ProcessFact& fact) {
  if (fact.process != Process::kAwaited && fact.process != Process::kStarting) return false;
  const bool awaited = fact.process == Process::kAwaited;
  const std::string message = awaited ? "" : fact.status->message();
  const bool fetches = !awaited && fact.status->state() == agent::v1::PROCESS_STATE_FETCHING;
  // A controller that has just begun may not have told the host of it before.
  const OnTheWay way =
      awaited ? OnTheWay{.since = std::max(FromProto(row.state_time()), pass.seen.start)}
              : WayOf(pass.seen, id, row);
  Time since = way.since;
  Duration limit = awaited ? kUnansweredLimit : fetches ? kFetchLimit : kStartLimit;
  if (way.hindered_since && *way.hindered_since + kHinderedLimit < since + limit) {
    since = *way.hindered_since;
    limit = kHinderedLimit;
  }
  pass.DueAt(since + limit);
  if (pass.now < since + limit) return false;
  pass.Drain(id,
             absl::StrCat("host ", row.host(),
                          awaited   ? " did not take it up"
                          : fetches ? " could not get its image"
                                    : " could not start it",
                          " within ", DurationText(limit), message.empty() ? "" : ": ", message),
             true);
  return true;
}

}  // namespace

void FollowHosts(Pass& pass, const std::string& group_id) {
  std::map<std::string, int> lost;
  for (const auto& [id, row] : pass.draft.InstancesOfGroup(group_id)) {
    if (IsUp(row->state()) || row->state() == v1::INSTANCE_STATE_WARM) {
      if (!IsLost(pass.seen, row->host(), pass.now)) {
        pass.DueAt(LostAt(pass.seen, row->host()));
        continue;
      }
      v1::Instance after = *row;
      after.set_state_before_unknown(row->state());
      pass.draft.Put(id, std::move(after));
      pass.Move(id, v1::INSTANCE_STATE_UNKNOWN, absl::StrCat("host ", row->host(), " is silent"));
      ++lost[row->host()];
    } else if (row->state() == v1::INSTANCE_STATE_UNKNOWN) {
      if (row->state_before_unknown() == v1::INSTANCE_STATE_DRAINING) {
        // Asked for while its host was lost.
        pass.Drain(id, row->state_reason(), false);
        continue;
      }
      const Process process = ProcessOf(pass.seen, id, *row).process;
      if (process == Process::kUnknown || process == Process::kEnded) continue;
      v1::Instance after = *row;
      after.set_state(row->state_before_unknown());
      after.set_state_reason(absl::StrCat("host ", row->host(), " is back"));
      *after.mutable_state_time() = ToProto(pass.now);
      pass.Put(id, std::move(after));
    }
  }
  for (const auto& [host, count] : lost) {
    pass.Note({.group = group_id,
               .description = absl::StrCat("Host ", host, " is lost: ", Counted(count, "instance"),
                                           " ", IsOrAre(count), " unknown"),
               .cause = absl::StrCat("its agent has been silent for ",
                                     DurationText(pass.seen.patience.host_lost_after)),
               // Of those that are of no group.
               .resource = group_id.empty() ? absl::StrCat("hosts/", host) : ""});
  }
}

void BringIntoService(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group) {
  for (const auto& [id, row] : pass.draft.InstancesOfGroup(group_id)) {
    if (row->state() != v1::INSTANCE_STATE_PENDING || row->unhealthy()) continue;
    const ProcessFact fact = ProcessOf(pass.seen, id, *row);
    if (GiveUp(pass, id, *row, fact)) continue;
    if (fact.process != Process::kRunning || !row->has_start_time()) continue;
    if (!row->lifecycle_actions().empty() || row->in_warm_pool()) continue;  // hooks.h, warm_pool.h
    // What proxies are not told of they cannot judge.
    if (IsKeptFromBalancer(group, *row) ||
        JudgeByProxies(pass.gates, id, group).verdict == Verdict::kHealthy) {
      pass.Move(id, v1::INSTANCE_STATE_IN_SERVICE, "");
      continue;
    }
    // What most of them find unhealthy is replaced by MarkUnhealthy.
    const Time limit = std::max(GraceEnd(group, *row), pass.seen.start) + kJudgementLimit;
    pass.DueAt(limit);
    if (pass.now < limit) continue;
    pass.Drain(id,
               absl::StrCat("most proxies do not find it healthy, ", DurationText(kJudgementLimit),
                            " after its grace period: ", NotHealthyAt(pass.gates, id, group)),
               true);
  }
}

void MarkUnhealthy(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group,
                   const Side& side) {
  if (IsSuspended(group, v1::SCALING_PROCESS_HEALTH_CHECK)) return;
  int good = 0;
  int under_way = 0;                                     // being replaced, or on the way up
  std::vector<std::pair<std::string, std::string>> bad;  // id, why
  for (const auto& [id, row] : side.members) {
    const bool in_service = row->state() == v1::INSTANCE_STATE_IN_SERVICE;
    // Its replacement does not wait for the hook, and a new one may be held for hours.
    const bool is_held = row->state() == v1::INSTANCE_STATE_TERMINATING_WAIT ||
                         row->state() == v1::INSTANCE_STATE_PENDING_WAIT;
    if (row->unhealthy()) {
      under_way += !is_held;
      continue;
    }
    if (!IsUp(row->state())) continue;
    if (!in_service && !is_held) ++under_way;
    const Judgement judgement =
        row->has_start_time() ? JudgeByProxies(pass.gates, id, group) : Judgement();
    const Time grace_end = GraceEnd(group, *row);
    if (judgement.verdict == Verdict::kUnhealthy && pass.now >= grace_end) {
      if (judgement.is_current) {
        bad.emplace_back(id, judgement.why);
      } else {
        pass.DueAt(pass.gates.NextLeaseEnd());  // if no proxy comes back to say it again
      }
      continue;
    }
    if (judgement.verdict == Verdict::kUnhealthy) pass.DueAt(grace_end);
    if (in_service) ++good;
  }
  if (bad.empty()) return;
  const LaunchRecord record = LaunchRecordOf(pass.draft.InstancesOfGroup(group_id).list(),
                                             side.launch, side.deployment, pass.now);
  if (pass.now < record.retry_at) {
    ++under_way;  // the replacement of one that is gone already has to wait
    pass.DueAt(record.retry_at);
  }
  const int most = good == 0 ? 1 : std::max(1, side.desired / kReplaceShare);
  for (const auto& [id, why] : bad) {
    const auto row = pass.draft.Find<v1::Instance>(id);
    // One that never came into service holds a place that a good one needs: replacing it lowers
    // nothing.
    if (row->state() == v1::INSTANCE_STATE_IN_SERVICE && under_way++ >= most) continue;
    v1::Instance after = *row;
    after.set_unhealthy(true);
    after.set_state_reason(why);
    pass.Put(id, std::move(after));
  }
}

}  // namespace remuda::core
