// Reconcile: what follows from state and observations. Pure: no clock, no I/O; running it on its
// own result yields nothing.
//
// Thread: the loop thread. Source of the rules: docs/architecture.md; AWS EC2 Auto Scaling's user
// guide where that is silent.
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "controller/core/model/draft.h"
#include "controller/core/model/observations.h"
#include "controller/core/reconcile/agenda.h"
#include "controller/core/reconcile/limits.h"

namespace remuda::core {

// The key of instances that were detached from their groups, among groups.
inline constexpr std::string_view kNoGroup = "";

// What to look at: everything, or with `groups` only those named here.
struct Scope {
  std::optional<std::set<std::string>> groups;
  // Also what belongs to no group: hosts and proxies that joined or fell silent, hand-registered
  // targets that drain. Costs a scan of each.
  bool housekeeping = true;
  // Without housekeeping: of it these hosts, all proxies, hand-registered targets, deployments
  // whose groups are gone.
  std::set<std::string> hosts = {};
  bool proxies = false;
  bool targets = false;
  bool orphans = false;
  // Those that are to be looked at and are not yet: their rows may not be what they say now, and
  // nothing is placed there. Null: none. Outlives the pass.
  const std::set<std::string>* hosts_left = nullptr;
  // Groups whose zones need not be looked at: they were lately. Costs a look at every host for each
  // group that may be out of balance.
  std::set<std::string, std::less<>> balanced = {};
  // After so many edits no further group is looked at, and of what is launched or ended in one
  // that is, the rest is left: beyond `batch`, see kSmallestBatch.
  size_t max_edits = std::numeric_limits<size_t>::max();
  size_t batch = kSmallestBatch;
  // Groups that Observe has left so: Reconcile leaves them too.
  std::set<std::string> left = {};
};

// What what was looked at waits for.
struct Agendum {
  // All groups, proxies and hand-registered targets: the lease of a proxy ends. InfiniteFuture also
  // if proxies were not looked at.
  Time all = absl::InfiniteFuture();
  // Silent hosts that were looked at, and when each is lost.
  std::map<std::string, Time> hosts = {};
  // Hand-registered targets that drain, if they were looked at.
  std::optional<Waits> targets = std::nullopt;
  // Groups to look at again at once: there was too much to do for this pass. Those that were not
  // looked at at all are not among `groups`.
  std::set<std::string> left = {};
  // Groups that were looked at and are still there.
  std::map<std::string, Waits> groups = {};
};

// What reports imply: hosts and proxies that joined, ports and start times of instances, processes
// that ended. Answers the groups that were left, see Scope.max_edits.
std::set<std::string> Observe(Draft& draft, const Observations& seen, Time now, const Scope& scope);

// The next step of each group: hosts lost → health → deployment → scaling → placement →
// termination. Returns when something falls due by time alone (grace, delay, bake, deadline, lease,
// backoff); absl::InfiniteFuture() if nothing does.
Time Reconcile(Draft& draft, const Observations& seen, Time now, const Scope& scope);

// The same, for one who does not look at everything each time: each group with what it waits for.
Agendum ReconcileSome(Draft& draft, const Observations& seen, Time now, const Scope& scope);

}  // namespace remuda::core
