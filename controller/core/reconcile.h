// Reconcile: what follows from state and observations. Pure: no clock, no I/O; running it on its
// own result yields nothing.
//
// Thread: the loop thread. Source of the rules: docs/architecture.md; AWS EC2 Auto Scaling's user
// guide where that is silent.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "controller/core/model/draft.h"
#include "controller/core/model/observations.h"

namespace remuda::core {

// Which groups to look at: those named, or all.
struct Scope {
  std::optional<std::set<std::string>> groups;
  // Also what belongs to no group: hosts and proxies that joined, hand-registered targets that
  // drain. Costs a scan of each.
  bool housekeeping = true;
  // With all groups and housekeeping: also whether their zones are in balance. Costs a look at
  // every host for each group that may not be.
  bool balance = true;
};

// What reports imply: hosts and proxies that joined, ports and start times of instances, processes
// that ended.
void Observe(Draft& draft, const Observations& seen, Time now, const Scope& scope);

// The next step of each group: hosts lost → health → deployment → scaling → placement →
// termination. Returns when something falls due by time alone (grace, delay, bake, deadline, lease,
// backoff); absl::InfiniteFuture() if nothing does.
Time Reconcile(Draft& draft, const Observations& seen, Time now, const Scope& scope);

}  // namespace remuda::core
