// Fold: what agents and proxies reported becomes one more value of each group. Pure. Thread: the
// loop thread.
//
// What the values mean: model/group_metrics.h and ScalingMetric (scaling_policy.proto).
#pragma once

#include <string>

#include "controller/core/model/observations.h"
#include "controller/core/model/state.h"
#include "controller/core/reconcile/gates.h"

namespace remuda::core {

// A receiver from which nothing has come for so many periods is silent: what it would say is
// missing.
inline constexpr int kSilentPeriods = 3;

// How long what PutMetricData gave holds.
inline constexpr Duration kCustomMetricHolds = absl::Minutes(5);

// Whether a receiver whose newest report came then is silent.
bool IsSilentSince(Time newest, const Observations& seen, Time now);

// Whether nothing that the proxy counts is known now, though it may serve.
bool SaysNothing(const LiveProxy& proxy, const Observations& seen, Time now);

// Appends a point to the history of each group (seen.metrics), once a period. Forgets what is of
// groups that are gone. Costs a look at each instance, host and proxy.
//
// Sums over proxies are missing while more than a tenth of the live proxies that serve the group's
// target groups say nothing that counts, or enough fell silent together that nothing can be proven
// (Gates::Silenced); what fewer than that would add is left out.
//
// While a deployment of the group is under way, averages are over its stable side. Once that has no
// share of the traffic, or serves no more, they are over the other one: idle instances tell nothing
// of the load.
//
// In parts, for a loop that has more to do: those from `from` on (empty: the first), until their
// instances are `most_instances`. Answers where to go on; empty: that was all.
std::string FoldSome(const State& state, Observations& seen, Time now, const std::string& from,
                     size_t most_instances);
void FoldMetrics(const State& state, Observations& seen, Time now);

}  // namespace remuda::core
