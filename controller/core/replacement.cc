#include "controller/core/replacement.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>

#include "controller/core/health.h"

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

}  // namespace

void FollowHosts(Pass& pass, const std::string& group_id) {
  std::map<std::string, int> lost;
  for (const auto& [id, row] : pass.draft.InstancesOfGroup(group_id)) {
    if (IsUp(row->state())) {
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
    pass.Note(
        {.group = group_id,
         .description = absl::StrCat("Host ", host, " is lost: ", count,
                                     count == 1 ? " instance is" : " instances are", " unknown"),
         .cause = absl::StrCat("its agent has been silent for ",
                               absl::FormatDuration(pass.seen.patience.host_lost_after))});
  }
}

void BringIntoService(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group) {
  for (const auto& [id, row] : pass.draft.InstancesOfGroup(group_id)) {
    if (row->state() != v1::INSTANCE_STATE_PENDING || row->unhealthy()) continue;
    const ProcessFact fact = ProcessOf(pass.seen, id, *row);
    if (fact.process == Process::kAwaited) {
      const Time limit = FromProto(row->state_time()) + kUnansweredLimit;
      pass.DueAt(limit);
      if (pass.now >= limit) {
        pass.Drain(id, absl::StrCat("host ", row->host(), " did not take it up"), true);
      }
      continue;
    }
    if (fact.process != Process::kRunning || !row->has_start_time()) continue;
    if (JudgeByProxies(pass.gates, id, group).verdict != Verdict::kHealthy) continue;
    pass.Move(id, v1::INSTANCE_STATE_IN_SERVICE, "");
  }
}

void MarkUnhealthy(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group,
                   const Side& side) {
  int good = 0;
  int under_way = 0;                                     // being replaced, or on the way up
  std::vector<std::pair<std::string, std::string>> bad;  // id, why
  for (const auto& [id, row] : side.members) {
    const bool in_service = row->state() == v1::INSTANCE_STATE_IN_SERVICE;
    if (row->unhealthy()) {
      ++under_way;
      continue;
    }
    if (!IsUp(row->state())) continue;
    if (!in_service) ++under_way;
    const Judgement judgement =
        row->has_start_time() ? JudgeByProxies(pass.gates, id, group) : Judgement();
    const Time grace_end = GraceEnd(group, *row);
    if (judgement.verdict == Verdict::kUnhealthy && pass.now >= grace_end) {
      bad.emplace_back(id, judgement.why);
      continue;
    }
    if (judgement.verdict == Verdict::kUnhealthy) pass.DueAt(grace_end);
    if (in_service) ++good;
  }
  if (bad.empty()) return;
  if (pass.now <
      LaunchRecordOf(pass.draft.InstancesOfGroup(group_id), side.launch, pass.now).retry_at) {
    ++under_way;  // the replacement of one that is gone already has to wait
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
