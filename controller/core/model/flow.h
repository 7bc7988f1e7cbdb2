// Flow: what goes through the subsets of target groups now, as the proxies last counted it. Each
// proxy's rates are over the time between its own reports; the sums over proxies are kept up with
// each report.
//
// Owns: rates, their sums, and whose part of a sum is whose. Does not own: totals (traffic.h), what
// a group makes of it (metrics/fold.h). Thread: the loop thread. Pure.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>

#include "controller/core/model/rate_window.h"
#include "controller/core/model/time.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda::core {

class State;

// (id of the target group, name of the subset).
using SubsetId = std::pair<std::string, std::string>;

// Rates are in thousandths a second: what is added to a sum can be taken away again exactly.
struct Flow {
  int64_t requests = 0;
  int64_t errors = 0;
  int64_t bytes_in = 0;
  int64_t bytes_out = 0;
  int64_t in_flight = 0;  // now
  // Proxies whose part is missing: what they said is no count, or nothing could be made of it yet.
  int64_t missing = 0;
};
struct Waiting {
  int64_t queued = 0;
  int64_t held = 0;
  int64_t missing = 0;
};

// What goes through one instance, over all its target groups.
struct TargetFlow {
  int64_t requests = 0;   // counted in all
  int64_t in_flight = 0;  // now
  RateWindow<1> window;   // of requests, as folded
};

// Over all proxies that were heard of lately.
struct Flows {
  std::map<SubsetId, Flow> subsets;
  std::map<std::string, Waiting, std::less<>> target_groups;
  std::unordered_map<std::string, TargetFlow> targets;  // by instance
};

// One proxy's part.
struct ProxyFlows {
  // Requests, errors, bytes in and out.
  using Counts = std::array<int64_t, 4>;
  struct Subset {
    Counts said = {};  // of the process
    Counts sum = {};   // since it was first told of, over all beginnings
    RateWindow<4> window;
    Flow part;  // in Flows
  };
  struct Target {
    int64_t requests = 0;  // as said
    int64_t in_flight = 0;
  };
  Time time = absl::InfinitePast();  // when the newest report came
  // Nothing of it counts now. The next report only says where it stands.
  bool is_new = true;
  // The next report is of a process that has served nobody before this controller knew it: until
  // its rates are known they are taken as none, not as missing.
  bool is_young = false;
  Time process_start = absl::InfinitePast();  // as it says
  std::map<SubsetId, Subset> subsets;
  std::map<std::string, Waiting, std::less<>> target_groups;      // in Flows
  std::map<std::pair<std::string, std::string>, Target> targets;  // by target group and instance
  // Beyond so many targets those of instances that are gone are dropped.
  size_t most_targets = kFewestTargets;

  static constexpr size_t kFewestTargets = 64;
};

// Takes a report that came at `now`. Costs what the report has.
void TakeFlows(const State& state, const proxy::v1::StatsReport& report, Time now, Duration period,
               ProxyFlows& of, Flows& all);

// Drops what was said of instances that are gone, where there is much of it.
void ForgetGoneTargets(const State& state, Flows& all);

// It is silent, or gone: its part counts no more, and its next report only says where it stands.
void ForgetFlows(ProxyFlows& of, Flows& all);

}  // namespace remuda::core
