#include "controller/core/metrics/fold.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <set>
#include <string>

#include "controller/core/metrics/averages.h"
#include "controller/core/model/capacity.h"
#include "controller/core/model/subset_name.h"
#include "controller/core/reconcile/gates.h"

namespace remuda::core {
namespace {

using TargetGroups = google::protobuf::RepeatedPtrField<std::string>;

// Points that are kept in all: of many groups fewer each.
constexpr size_t kMostPoints = 200'000;
constexpr size_t kFewestPoints = 60;
// What a group costs beside its instances, in such.
constexpr size_t kGroupCost = 8;

// The parts of proxies that say nothing any more count no more.
void ForgetSilent(Observations& seen, Time now) {
  for (auto& [id, proxy] : seen.proxies) {
    ProxyFlows& flows = proxy.counted.flows;
    if (flows.is_new) continue;
    if (proxy.has_left || !IsLive(seen, &proxy, now) || IsSilentSince(flows.time, seen, now)) {
      ForgetFlows(flows, seen.flows);
    }
  }
}

// What proxies say of groups, at one moment.
class FlowFolder {
 public:
  FlowFolder(const Draft& draft, Observations& seen, Time now)
      : seen_(seen), now_(now), gates_(draft, seen, now) {
    for (const LiveProxy& proxy : gates_.live()) {
      if (SaysNothing(proxy, seen_, now_)) has_unheard_ = true;
    }
  }

  void Fold(const std::string& id, const v1::AutoScalingGroup& group, const MeasuredSide& side,
            MetricPoint& point) {
    FoldLatency(id, group, point);
    if (group.target_groups().empty()) return;
    Flow flow;
    Waiting waiting;
    for (const std::string& target_group : group.target_groups()) {
      AddSubsets(target_group, id, side, flow);
      const auto it = seen_.flows.target_groups.find(target_group);
      if (it == seen_.flows.target_groups.end()) continue;
      waiting.queued += it->second.queued + it->second.held;
      waiting.missing += it->second.missing;
    }
    if (IsMissing(group.target_groups(), std::max(flow.missing, waiting.missing))) return;
    point.requests = Rate(flow.requests);
    point.errors = Rate(flow.errors);
    point.network_in = Rate(flow.bytes_in);
    point.network_out = Rate(flow.bytes_out);
    point.in_flight = static_cast<double>(flow.in_flight) / side.share;
    point.queued = static_cast<double>(waiting.queued);
  }

 private:
  static double Rate(int64_t thousandths) { return static_cast<double>(thousandths) / 1000; }

  // In flight: of the side that is measured. A version that hangs gathers them.
  void AddSubsets(const std::string& target_group, const std::string& id, const MeasuredSide& side,
                  Flow& flow) const {
    const auto& subsets = seen_.flows.subsets;
    for (auto it = subsets.lower_bound({target_group, absl::StrCat(id, "/")});
         it != subsets.end() && it->first.first == target_group && IsSubsetOf(it->first.second, id);
         ++it) {
      flow.requests += it->second.requests;
      flow.errors += it->second.errors;
      flow.bytes_in += it->second.bytes_in;
      flow.bytes_out += it->second.bytes_out;
      if (side.Has(it->first.second)) flow.in_flight += it->second.in_flight;
      flow.missing += it->second.missing;
    }
  }

  // `missing`: parts of the sum that are no numbers.
  bool IsMissing(const TargetGroups& target_groups, int64_t missing) const {
    if (gates_.live().empty()) return true;
    if (!gates_.LeftOut().empty() && !gates_.Silenced(target_groups).empty()) return true;
    if (missing == 0 && !has_unheard_) return false;
    std::set<std::string_view> serving;
    for (const std::string& target_group : target_groups) {
      for (const LiveProxy* proxy : gates_.Serving(target_group)) {
        if (serving.insert(proxy->id).second && SaysNothing(*proxy, seen_, now_)) ++missing;
      }
    }
    return 10 * missing > static_cast<int64_t>(serving.size());
  }

  // Of the requests since the point before.
  void FoldLatency(const std::string& id, const v1::AutoScalingGroup& group, MetricPoint& point) {
    v1::SideCounts& base = seen_.metrics.counted[id];
    int64_t requests = 0;
    for (const std::string& target_group : group.target_groups()) {
      const auto& totals = seen_.traffic.totals;
      for (auto it = totals.lower_bound({target_group, absl::StrCat(id, "/")});
           it != totals.end() && it->first.first == target_group &&
           IsSubsetOf(it->first.second, id);
           ++it) {
        requests += it->second.requests();
      }
    }
    if (requests == base.requests()) return;
    v1::SideCounts counts =
        CountsOf(seen_.traffic, group.target_groups(),
                 [&](std::string_view subset) { return IsSubsetOf(subset, id); });
    const v1::SideCounts news = Since(counts, base);
    const auto milliseconds = [&](double fraction) -> std::optional<double> {
      const auto latency = LatencyOf(news, fraction);
      return latency ? std::optional(absl::ToDoubleMilliseconds(*latency)) : std::nullopt;
    };
    point.latency_p50_ms = milliseconds(0.5);
    point.latency_p99_ms = milliseconds(0.99);
    base = std::move(counts);
  }

  Observations& seen_;
  const Time now_;
  const Gates gates_;
  bool has_unheard_ = false;
};

// The rates of what each instance is asked.
void FoldTargets(const State& state, Observations& seen, Time now) {
  ForgetGoneTargets(state, seen.flows);
  for (auto& [id, flow] : seen.flows.targets) {
    flow.window.Add(now, seen.metrics.period, {flow.requests});
  }
}

// What is kept by (group, name).
template <class Values, class Fn>
void ForEachOf(Values& values, const std::string& group, Fn&& fn) {
  for (auto it = values.lower_bound({group, ""}); it != values.end() && it->first.first == group;
       ++it) {
    fn(it->first.second, it->second);
  }
}

void FoldNamed(const std::string& id, const GroupMetrics& metrics, Time now, MetricPoint& point) {
  ForEachOf(metrics.custom, id, [&](const std::string& name, const CustomValue& value) {
    if (now - value.time <= kCustomMetricHolds) point.custom[name] = value.value;
  });
  ForEachOf(metrics.queried, id, [&](const std::string& policy, const QueriedValue& value) {
    const bool holds = value.value && now - value.time <= kSilentPeriods * metrics.period;
    if (holds) point.queried[policy] = *value.value;
    if (!value.error.empty()) {
      point.query_errors[policy] = value.error;
    } else if (!holds) {
      point.query_errors[policy] = "no answer has come";
    }
  });
}

void Append(MetricPoint point, size_t most, MetricHistory& history, Time start) {
  if (history.points.empty() && history.last_request == absl::InfinitePast()) {
    history.last_request = start;
  }
  const double waits = point.in_flight.value_or(0) + point.queued.value_or(0);
  // While nothing is known somebody may well ask.
  if (point.requests.value_or(1) > 0 || waits > 0) history.last_request = point.time;
  history.points.push_back(std::move(point));
  while (history.points.size() > most) history.points.pop_front();
}

void ForgetGone(const State& state, GroupMetrics& metrics, Time now) {
  const auto is_gone = [&](const std::string& group) {
    return state.Find<v1::AutoScalingGroup>(group) == nullptr;
  };
  const auto is_gone_with_group = [&](const auto& entry) { return is_gone(entry.first); };
  const auto is_gone_with_pair = [&](const auto& entry) { return is_gone(entry.first.first); };
  std::erase_if(metrics.histories, is_gone_with_group);
  std::erase_if(metrics.counted, is_gone_with_group);
  std::erase_if(metrics.evaluations, is_gone_with_group);
  std::erase_if(metrics.queried, is_gone_with_pair);
  std::erase_if(metrics.custom, [&](const auto& entry) {
    return is_gone_with_pair(entry) || now - entry.second.time > kCustomMetricHolds;
  });
  std::erase_if(metrics.wakes, [&](const auto& entry) {
    return state.Find<v1::TargetGroup>(entry.first) == nullptr;
  });
}

}  // namespace

bool IsSilentSince(Time newest, const Observations& seen, Time now) {
  return now - newest > kSilentPeriods * seen.metrics.period;
}

bool SaysNothing(const LiveProxy& proxy, const Observations& seen, Time now) {
  if (proxy.seen == nullptr) return true;
  if (proxy.seen->has_left) return false;
  const ProxyFlows& flows = proxy.seen->counted.flows;
  return flows.is_new || IsSilentSince(flows.time, seen, now);
}

std::string FoldSome(const State& state, Observations& seen, Time now, const std::string& from,
                     size_t most_instances) {
  if (from.empty()) {
    ForgetGone(state, seen.metrics, now);
    FoldTargets(state, seen, now);
  }
  ForgetSilent(seen, now);
  const Draft draft(state);
  FlowFolder flows(draft, seen, now);
  UseReader reader(state, seen, now);
  const auto& groups = state.All<v1::AutoScalingGroup>();
  const size_t most = std::clamp(kMostPoints / std::max<size_t>(groups.size(), 1), kFewestPoints,
                                 MetricHistory::kPoints);
  size_t instances = 0;
  for (auto it = groups.lower_bound(from); it != groups.end(); ++it) {
    const auto& [id, row] = *it;
    if (instances >= most_instances) return id;
    instances += kGroupCost + state.InstancesOfGroup(id).size();
    MetricPoint point{.time = now};
    point.desired = DesiredOf(*row);
    const MeasuredSide side = FoldInstances(draft, id, *row, reader, seen, now, point);
    flows.Fold(id, *row, side, point);
    FoldNamed(id, seen.metrics, now, point);
    Append(std::move(point), most, seen.metrics.histories[id], seen.start);
  }
  return "";
}

void FoldMetrics(const State& state, Observations& seen, Time now) {
  FoldSome(state, seen, now, "", std::numeric_limits<size_t>::max());
}

}  // namespace remuda::core
