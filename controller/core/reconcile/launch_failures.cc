#include "controller/core/reconcile/launch_failures.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>

#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/words.h"
#include "controller/core/reconcile/limits.h"

namespace remuda::core {

bool WasStable(const v1::Instance& instance, Time now) {
  if (!instance.has_in_service_time()) return false;
  const Time end = IsLeavingState(instance.state()) ? FromProto(instance.state_time()) : now;
  return end - FromProto(instance.in_service_time()) >= kStableAfter;
}

Time StableAt(const v1::Instance& instance) {
  if (!instance.has_in_service_time() || IsLeavingState(instance.state())) {
    return absl::InfiniteFuture();
  }
  return FromProto(instance.in_service_time()) + kStableAfter;
}

bool IsFailedLaunch(const v1::Instance& instance, Time now) {
  return instance.unhealthy() && IsLeavingState(instance.state()) && !WasStable(instance, now);
}

LaunchRecord LaunchRecordOf(const InstanceList& all, const v1::LaunchTemplateRef& launch,
                            std::string_view deployment, Time now) {
  const auto counts = [&](const v1::Instance& row) {
    return IsSame(row.launch_template(), launch) &&
           (deployment.empty() || row.deployment() == deployment);
  };
  Time good = absl::InfinitePast();
  for (const auto& [id, row] : all) {
    if (!counts(*row) || !WasStable(*row, now)) continue;
    good = std::max(good, FromProto(row->in_service_time()) + kStableAfter);
  }
  LaunchRecord record;
  Time last = absl::InfinitePast();
  std::map<std::string_view, Time> counted;  // by host, the end of the last failure there
  for (const auto& [id, row] : all) {
    if (!counts(*row) || !IsFailedLaunch(*row, now)) continue;
    // What a hook holds has failed as well: its replacement does not wait for the end.
    if (row->state() != v1::INSTANCE_STATE_TERMINATED &&
        row->state() != v1::INSTANCE_STATE_TERMINATING_WAIT) {
      continue;
    }
    const Time time = FromProto(row->state_time());
    if (time <= good) continue;
    const auto [before, is_first] = counted.emplace(row->host(), time);
    if (is_first || FromProto(row->create_time()) >= before->second) ++record.failures;
    before->second = std::max(before->second, time);
    if (time >= last) {
      last = time;
      record.last_instance = id;
      record.last_cause = row->state_reason();
    }
  }
  if (record.failures == 0) return record;
  // A first failure is replaced at once: most are accidents, and users wait for the replacement.
  Duration backoff = record.failures == 1 ? absl::ZeroDuration() : kFirstLaunchBackoff;
  for (int i = 2; i < record.failures && backoff < kMaxLaunchBackoff; ++i) backoff *= 2;
  record.retry_at = last + std::min(backoff, kMaxLaunchBackoff);
  return record;
}

std::string FailuresText(const LaunchRecord& record, const v1::LaunchTemplateRef& launch) {
  return absl::StrCat(Counted(record.failures, "launch"), " of ", TextOf(launch),
                      record.failures == 1 ? " failed, that of " : " failed in a row; the last, ",
                      record.last_instance, ": ", record.last_cause);
}

}  // namespace remuda::core
