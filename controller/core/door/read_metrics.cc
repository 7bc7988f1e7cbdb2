#include "controller/core/door/read_metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "common/ids.h"
#include "controller/core/door/rows.h"
#include "controller/core/metrics/averages.h"
#include "controller/core/metrics/fold.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/limits.h"
#include "controller/core/policies/forecast.h"
#include "controller/core/reconcile/gates.h"

namespace remuda::core {
namespace {

using Value = std::optional<double>;
using Points = std::vector<const MetricPoint*>;

constexpr int kDefaultPoints = 60;
constexpr int kMostSilent = 100;

struct Series {
  const char* name;
  const char* unit;
  Value (*value)(const MetricPoint&);
};
constexpr Series kSeries[] = {
    {"cpu", "%", [](const MetricPoint& point) { return point.cpu_percent; }},
    {"memory", "%", [](const MetricPoint& point) { return point.memory_percent; }},
    {"requests", "/s", [](const MetricPoint& point) { return point.requests; }},
    {"errors", "/s", [](const MetricPoint& point) { return point.errors; }},
    {"latency_p50", "ms", [](const MetricPoint& point) { return point.latency_p50_ms; }},
    {"latency_p99", "ms", [](const MetricPoint& point) { return point.latency_p99_ms; }},
    {"in_flight", "", [](const MetricPoint& point) { return point.in_flight; }},
    {"queued", "", [](const MetricPoint& point) { return point.queued; }},
    {"network_in", "B/s", [](const MetricPoint& point) { return point.network_in; }},
    {"network_out", "B/s", [](const MetricPoint& point) { return point.network_out; }},
    {"restarts", "", [](const MetricPoint& point) { return Value(point.restarts); }},
    {"in_service", "", [](const MetricPoint& point) { return Value(point.in_service); }},
    {"desired", "", [](const MetricPoint& point) { return Value(point.desired); }},
};

template <class Fn>
void AddSeries(const std::string& name, const char* unit, const Points& points, Fn&& value_of,
               v1::GroupMetrics& out) {
  v1::SeriesMetrics& series = *out.add_series();
  series.set_metric(name);
  series.set_unit(unit);
  for (const MetricPoint* point : points) {
    series.add_values(value_of(*point).value_or(std::numeric_limits<double>::quiet_NaN()));
  }
}

void AddAllSeries(const Points& points, v1::GroupMetrics& out) {
  for (const Series& series : kSeries) {
    AddSeries(series.name, series.unit, points, series.value, out);
  }
  std::set<std::string> names;
  for (const MetricPoint* point : points) {
    for (const auto& [name, value] : point->custom) names.insert(name);
  }
  for (const std::string& name : names) {
    AddSeries(
        absl::StrCat("custom/", name), "", points,
        [&](const MetricPoint& point) {
          const auto it = point.custom.find(name);
          return it == point.custom.end() ? Value() : Value(it->second);
        },
        out);
  }
}

bool IsOfCapacity(const v1::Instance& row) {
  return IsUp(row.state()) && row.state() != v1::INSTANCE_STATE_STANDBY && !row.in_warm_pool();
}

void AddInstances(const Snapshot& from, const std::string& id, v1::GroupMetrics& out) {
  const auto* group = from.state.Find<v1::AutoScalingGroup>(id);
  UseReader reader(from.state, from.seen, from.now);
  std::set<std::string> silent;
  const Instances of_group = from.state.ListOfGroup(id);
  for (const auto& [instance, row] : of_group) {
    if (!IsOfCapacity(*row)) continue;
    v1::InstanceMetrics& shown = *out.add_instances();
    shown.set_instance(instance);
    shown.set_is_warm(IsWarm(**group, *row, from.now));
    const auto [usage, use] = reader.Find(instance, *row);
    if (use.cpu_percent) shown.set_cpu_percent(*use.cpu_percent);
    if (usage != nullptr) {
      shown.set_memory_bytes(usage->said.memory_bytes());
      shown.set_restarts(usage->said.restarts());
    }
    if (const auto flow = from.seen.flows.targets.find(instance);
        flow != from.seen.flows.targets.end()) {
      if (flow->second.window.rates()) shown.set_requests((*flow->second.window.rates())[0]);
      shown.set_in_flight(flow->second.in_flight);
    }
    const HostObservation* host = FindObservation(from.seen.hosts, row->host());
    if (host == nullptr || IsSilentSince(host->usage.time, from.seen, from.now)) {
      silent.insert("hosts/" + row->host());
    }
  }
  for (const std::string& host : silent) {
    if (out.silent_size() < kMostSilent) out.add_silent(host);
  }
}

void AddSilentProxies(const Snapshot& from, const std::string& id, v1::GroupMetrics& out) {
  const auto* group = from.state.Find<v1::AutoScalingGroup>(id);
  const Draft draft(from.state);
  const Gates gates(draft, from.seen, from.now);
  std::set<std::string> silent;
  for (const std::string& target_group : (*group)->target_groups()) {
    for (const LiveProxy* proxy : gates.Serving(target_group)) {
      if (SaysNothing(*proxy, from.seen, from.now)) silent.insert("proxies/" + proxy->id);
    }
  }
  for (const std::string& proxy : silent) {
    if (out.silent_size() < kMostSilent) out.add_silent(proxy);
  }
}

}  // namespace

v1::GroupMetrics MetricsAfter(const Snapshot& from, const std::string& group, Time after,
                              int most) {
  v1::GroupMetrics out;
  out.set_auto_scaling_group(group);
  *out.mutable_period() = ToProto(from.seen.metrics.period);
  Points points;
  const auto history = from.seen.metrics.histories.find(group);
  if (history != from.seen.metrics.histories.end()) {
    const auto& all = history->second.points;
    for (auto it = all.rbegin(); it != all.rend() && it->time > after; ++it) {
      if (points.size() == static_cast<size_t>(most)) break;
      points.push_back(&*it);
    }
  }
  std::reverse(points.begin(), points.end());
  AddAllSeries(points, out);
  if (!points.empty()) *out.mutable_end_time() = ToProto(points.back()->time);
  if (from.state.Find<v1::AutoScalingGroup>(group) == nullptr) return out;
  AddInstances(from, group, out);
  AddSilentProxies(from, group, out);
  return out;
}

absl::StatusOr<MetricsWanted> WantedMetrics(const Snapshot& from, const std::string& group,
                                            int points) {
  const auto row = FindRow<v1::AutoScalingGroup>(Draft(from.state), "auto_scaling_group", group);
  if (!row.ok()) return row.status();
  constexpr int kMost = MetricHistory::kPoints;
  if (points < 0 || points > kMost) {
    return InvalidField("points", absl::StrCat(points, " is not within 0-", kMost));
  }
  return MetricsWanted{.group = row->id, .points = points == 0 ? kDefaultPoints : points};
}

absl::StatusOr<v1::GroupMetrics> Read(const Snapshot& from, const v1::GetMetricsRequest& request) {
  const auto wanted = WantedMetrics(from, request.auto_scaling_group(), request.points());
  if (!wanted.ok()) return wanted.status();
  return MetricsAfter(from, wanted->group, absl::InfinitePast(), wanted->points);
}

absl::StatusOr<v1::PredictiveForecast> Read(const Snapshot& from,
                                            const v1::GetPredictiveForecastRequest& request) {
  const auto row = FindRow<v1::AutoScalingGroup>(Draft(from.state), "auto_scaling_group",
                                                 request.auto_scaling_group());
  if (!row.ok()) return row.status();
  for (const v1::ScalingPolicy& policy : row->value->policies()) {
    if (policy.name() != request.policy() || !policy.has_predictive()) continue;
    const auto* history = from.state.Find<store::v1::LoadHistory>(
        LoadHistoryKey(row->id, policy.predictive().metric()));
    return DescribeForecast(history == nullptr ? nullptr : history->value.get(), policy, from.now);
  }
  return InvalidField("policy",
                      absl::StrCat(Quoted(request.policy()),
                                   " is no predictive policy of autoScalingGroups/", row->id));
}

absl::Status TakeMetricData(const State& state, const v1::PutMetricDataRequest& request, Time now,
                            GroupMetrics& metrics) {
  const auto row = FindRow<v1::AutoScalingGroup>(Draft(state), "auto_scaling_group",
                                                 request.auto_scaling_group());
  if (!row.ok()) return row.status();
  constexpr int kMost = kCustomMetricsAnAsg;
  Violations wrong;
  if (request.data().empty() || request.data_size() > kMost) {
    wrong.Add(FieldPath("data"),
              absl::StrCat(request.data_size(), " entries are not within 1-", kMost));
    return wrong.ToStatus();
  }
  std::set<std::string> names;
  for (auto it = metrics.custom.lower_bound({row->id, ""});
       it != metrics.custom.end() && it->first.first == row->id; ++it) {
    if (now - it->second.time <= kCustomMetricHolds) names.insert(it->first.second);
  }
  for (int i = 0; i < request.data_size(); ++i) {
    const v1::MetricDatum& datum = request.data(i);
    const FieldPath at(absl::StrCat("data[", i, "]"));
    if (!IsId(datum.name())) {
      wrong.Add(at / "name", absl::StrCat(Quoted(datum.name()), " ", limits::kIdRule));
    }
    if (!(std::abs(datum.value()) <= limits::kMaxCustomMetric)) {
      wrong.Add(at / "value",
                absl::StrCat(datum.value(), " is not a number from -", limits::kMaxCustomMetric,
                             " to ", limits::kMaxCustomMetric));
    }
    names.insert(datum.name());
  }
  if (names.size() > static_cast<size_t>(kMost)) {
    wrong.Add(FieldPath("data"),
              absl::StrCat(names.size(),
                           " custom metrics, those that hold among them, are more "
                           "than the ",
                           kMost, " of a group"));
  }
  if (!wrong.empty()) return wrong.ToStatus();
  for (const v1::MetricDatum& datum : request.data()) {
    metrics.custom[{row->id, datum.name()}] = {.value = datum.value(), .time = now};
  }
  return absl::OkStatus();
}

}  // namespace remuda::core
