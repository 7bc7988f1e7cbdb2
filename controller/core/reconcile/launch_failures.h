// Launches: which failed, how often in a row, and when the next is due. Thread: the loop thread.
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "controller/core/model/draft.h"

namespace remuda::core {

// Whether it served long enough to show that its version can be launched.
bool WasStable(const v1::Instance& instance, Time now);
// When it will have, if nothing happens to it; InfiniteFuture: never.
Time StableAt(const v1::Instance& instance);

// Whether its launch has failed: it ended, or is to end, for a fault of its own before it was
// stable.
bool IsFailedLaunch(const v1::Instance& instance, Time now);

// Launches of one version that failed since the last good one: computed from the terminated
// instances, so that no crash forgets it. Only those of the deployment, if one is given: a version
// that failed before may have been mended from outside. Several that were under way on one host at
// once count as one: it may be the host's fault.
struct LaunchRecord {
  int failures = 0;
  Time retry_at = absl::InfinitePast();
  std::string last_instance;  // the last that failed
  std::string last_cause;
};
LaunchRecord LaunchRecordOf(const InstanceList& all, const v1::LaunchTemplateRef& launch,
                            std::string_view deployment, Time now);

// "2 launches of shop:2 failed in a row; the last, i-7: its process exited with code 1". For a
// record with failures.
std::string FailuresText(const LaunchRecord& record, const v1::LaunchTemplateRef& launch);

}  // namespace remuda::core
