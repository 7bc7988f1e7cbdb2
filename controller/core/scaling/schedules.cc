// Scheduled policies: see follow_policies.h.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <vector>

#include "controller/core/model/capacity.h"
#include "controller/core/model/words.h"
#include "controller/core/scaling/follow_policies.h"
#include "controller/core/schedule/cron.h"

namespace remuda::core {
namespace {

// When a scheduled policy was due last, and is due next.
struct Occurrences {
  Time last = absl::InfinitePast();
  Time next = absl::InfiniteFuture();
};

Occurrences OccurrencesOf(const Pass& pass, const v1::ScheduledPolicy& policy) {
  const Time start =
      policy.has_start_time() ? FromProto(policy.start_time()) : absl::InfinitePast();
  const Time end = policy.has_end_time() ? FromProto(policy.end_time()) : absl::InfiniteFuture();
  Occurrences out;
  if (policy.recurrence().empty()) {
    if (start > pass.now) {
      out.next = start;
    } else if (pass.now <= end) {
      out.last = start;
    }
    return out;
  }
  Cron cron;
  const auto zone =
      pass.seen.find_zone == nullptr ? std::nullopt : pass.seen.find_zone(policy.time_zone());
  // The door has refused what is neither; the rules of zones may have lost one since.
  if (!zone.has_value() || !ParseCron(policy.recurrence(), cron).empty()) return out;
  const Time last = LastAtOrBefore(cron, *zone, std::min(pass.now, end));
  if (last >= start) out.last = last;
  const Time next = NextAfter(cron, *zone, std::max(pass.now, start - absl::Nanoseconds(1)));
  if (next <= end) out.next = next;
  return out;
}

void Apply(v1::AutoScalingGroup& group, const v1::ScalingPolicy& policy, Time due, Time now) {
  const v1::ScheduledPolicy& wish = policy.scheduled();
  v1::GroupCapacity& capacity = *group.mutable_capacity();
  if (wish.has_max()) capacity.set_max(wish.max());
  if (wish.has_min()) capacity.set_min(wish.min());
  // The one that it sets moves the other.
  if (MinOf(group) > MaxOf(group)) {
    if (wish.has_min()) {
      capacity.set_max(MinOf(group));
    } else {
      capacity.set_min(MaxOf(group));
    }
  }
  const int desired = wish.has_desired() ? wish.desired() : DesiredOf(group);
  SetByPolicy(
      group,
      {.policy = policy.name(),
       .desired = desired,
       .cause = absl::StrCat("scheduled policy ", policy.name(), " was due at ", MomentText(due))},
      now);
  (*capacity.mutable_policy_times())[policy.name()] = ToProto(due);
}

}  // namespace

void FollowSchedules(Pass& pass, const std::string& group_id) {
  const auto group = pass.draft.Find<v1::AutoScalingGroup>(group_id);
  if (group->deleting() || IsSuspended(*group, v1::SCALING_PROCESS_SCHEDULED_ACTIONS)) return;
  std::vector<std::pair<Time, const v1::ScalingPolicy*>> due;
  for (const v1::ScalingPolicy& policy : group->policies()) {
    if (!policy.has_scheduled() || policy.disabled()) continue;
    const Occurrences times = OccurrencesOf(pass, policy.scheduled());
    pass.DueAt(times.next);
    const auto& acted = group->capacity().policy_times();
    const auto it = acted.find(policy.name());
    // One without a time was there before policies had any: what it was due for is past.
    if (it == acted.end() || FromProto(it->second) >= times.last) continue;
    due.emplace_back(times.last, &policy);
  }
  if (due.empty()) return;
  std::stable_sort(due.begin(), due.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  v1::AutoScalingGroup after = *group;
  for (const auto& [time, policy] : due) Apply(after, *policy, time, pass.now);
  // What takes instances away waits for the end of a deployment.
  if (DesiredOf(after) < DesiredOf(*group) && IsMoving(pass.draft, group_id)) return;
  PutCapacity(pass, group_id, std::move(after));
}

}  // namespace remuda::core
