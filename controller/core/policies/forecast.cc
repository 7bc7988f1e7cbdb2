#include "controller/core/policies/forecast.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "controller/core/policies/reading.h"

namespace remuda::core {
namespace {

struct Lag {
  int days;
  double weight;
};
constexpr Lag kLags[] = {{1, 2}, {2, 1}, {7, 8}, {14, 4}};
constexpr int kComparedSpans = 8;
constexpr double kLeastRatio = 0.5;
constexpr double kMostRatio = 2;
constexpr int kWeek = 7 * kSpansADay;
constexpr int kMostCapacity = 1000;
constexpr Duration kDefaultBuffer = absl::Minutes(5);

int64_t SpanOf(Time time) { return absl::ToUnixSeconds(time) / absl::ToInt64Seconds(kLoadSpan); }
Time BeginOf(int64_t span) { return absl::UnixEpoch() + span * kLoadSpan; }

Duration BufferOf(const v1::PredictivePolicy& policy) {
  return policy.has_scheduling_buffer() ? FromProto(policy.scheduling_buffer()) : kDefaultBuffer;
}

int CapacityFor(double load, double target) {
  if (target <= 0) return 0;
  return static_cast<int>(std::clamp(std::ceil(load / target), 0.0, double{kMostCapacity}));
}

// A history by spans since the epoch, of which those before `end` are known.
class Past {
 public:
  Past(const store::v1::LoadHistory& history, int64_t end)
      : history_(history),
        begin_(SpanOf(FromProto(history.start_time()))),
        end_(std::min(end, begin_ + history.loads_size())) {}

  int64_t begin() const { return begin_; }
  int64_t end() const { return end_; }

  std::optional<double> At(int64_t span) const {
    if (span < begin_ || span >= end_) return std::nullopt;
    const float load = history_.loads(static_cast<int>(span - begin_));
    return std::isfinite(load) ? std::optional<double>(load) : std::nullopt;
  }

  // From the same spans of days before.
  std::optional<double> BaseOf(int64_t span) const {
    double sum = 0, weights = 0;
    for (const auto& [days, weight] : kLags) {
      const auto load = At(span - days * kSpansADay);
      if (!load) continue;
      sum += weight * *load;
      weights += weight;
    }
    return weights == 0 ? std::nullopt : std::optional(sum / weights);
  }

  // How the newest spans before `span` compare to what their past says of them.
  double RatioBefore(int64_t span) const {
    double are = 0, were = 0;
    for (int64_t at = span - kComparedSpans; at < span; ++at) {
      const auto is = At(at), base = BaseOf(at);
      if (!is || !base) continue;
      are += *is;
      were += *base;
    }
    return were > 0 ? std::clamp(are / were, kLeastRatio, kMostRatio) : 1;
  }

  // Of a span, from what is known before `known_until`.
  std::optional<double> ForecastOf(int64_t span, int64_t known_until) const {
    if (known_until - begin_ < kSpansADay) return std::nullopt;
    const auto base = BaseOf(span);
    return base ? std::optional(*base * RatioBefore(known_until)) : std::nullopt;
  }

 private:
  const store::v1::LoadHistory& history_;
  const int64_t begin_;
  const int64_t end_;
};

// Appends the mean of a span; what lies between is not known.
void Append(int64_t span, double mean, store::v1::LoadHistory& row) {
  // What a clock that was ahead has left is not to come.
  const int64_t first = SpanOf(FromProto(row.start_time()));
  if (span < first) {
    row.clear_loads();
  } else if (span < first + row.loads_size() - 1) {
    row.mutable_loads()->Truncate(static_cast<int>(span - first));
  }
  const bool goes_on = row.loads_size() > 0 && span - first < 2 * int64_t{kSpansKept};
  if (!goes_on) {
    row.clear_loads();
    *row.mutable_start_time() = ToProto(BeginOf(span));
  }
  const int64_t begin = SpanOf(FromProto(row.start_time()));
  if (span < begin + row.loads_size()) return;  // known already
  while (begin + row.loads_size() < span) row.add_loads(std::numeric_limits<float>::quiet_NaN());
  row.add_loads(static_cast<float>(mean));
  const int over = row.loads_size() - kSpansKept;
  if (over <= 0) return;
  row.mutable_loads()->erase(row.loads().begin(), row.loads().begin() + over);
  *row.mutable_start_time() = ToProto(BeginOf(begin + over));
}

// Metrics of which the group's policies forecast.
std::set<v1::ScalingMetric> Foreseen(const v1::AutoScalingGroup& group) {
  std::set<v1::ScalingMetric> out;
  for (const v1::ScalingPolicy& policy : group.policies()) {
    if (policy.has_predictive()) out.insert(policy.predictive().metric());
  }
  return out;
}

// Mean absolute errors in the week before, in per cent of the mean load.
void ShowErrors(const Past& past, Duration buffer, v1::PredictiveForecast& out) {
  const auto ahead = static_cast<int64_t>(std::ceil(absl::FDivDuration(buffer, kLoadSpan)));
  const int64_t lead = std::max<int64_t>(1, ahead);
  double error = 0, baseline = 0, load = 0, compared = 0;
  int number = 0;
  for (int64_t span = std::max(past.begin(), past.end() - kWeek); span < past.end(); ++span) {
    const auto is = past.At(span);
    const auto forecast = past.ForecastOf(span, span - lead + 1);
    if (!is || !forecast) continue;
    ++number;
    load += *is;
    error += std::abs(*forecast - *is);
    if (const auto last_week = past.At(span - kWeek)) {
      baseline += std::abs(*last_week - *is);
      compared += *is;
    }
  }
  if (number > 0 && load > 0) out.set_error_percent(100 * error / load);
  if (compared > 0) out.set_baseline_error_percent(100 * baseline / compared);
}

}  // namespace

std::map<std::string, store::v1::LoadHistory> TakeLoads(const State& state, GroupMetrics& metrics,
                                                        Time now) {
  std::map<std::string, store::v1::LoadHistory> out;
  std::erase_if(metrics.spans, [&](const auto& entry) {
    return state.Find<v1::AutoScalingGroup>(entry.first.first) == nullptr;
  });
  for (const auto& [id, group] : state.All<v1::AutoScalingGroup>()) {
    const auto history = metrics.histories.find(id);
    if (history == metrics.histories.end() || history->second.points.empty()) continue;
    for (const v1::ScalingMetric metric : Foreseen(*group)) {
      LoadSpan& span = metrics.spans[{id, metric}];
      if (SpanOf(now) != SpanOf(span.start)) {
        if (span.number > 0) {
          const std::string key = LoadHistoryKey(id, metric);
          const auto* before = state.Find<store::v1::LoadHistory>(key);
          store::v1::LoadHistory row;
          if (before != nullptr) row = **before;
          row.set_auto_scaling_group(id);
          row.set_metric(metric);
          row.set_span_seconds(static_cast<int32_t>(absl::ToInt64Seconds(kLoadSpan)));
          Append(SpanOf(span.start), span.sum / span.number, row);
          out[key] = std::move(row);
        }
        span = {.start = BeginOf(SpanOf(now))};
      }
      const Reading load = ReadAt(history->second.points.back(), {.metric = metric});
      if (!load.whole) continue;
      span.sum += *load.whole;
      ++span.number;
    }
  }
  return out;
}

std::vector<std::string> UnneededLoads(const State& state) {
  std::vector<std::string> out;
  for (const auto& [key, row] : state.All<store::v1::LoadHistory>()) {
    const auto* group = state.Find<v1::AutoScalingGroup>(row->auto_scaling_group());
    const auto metric = static_cast<v1::ScalingMetric>(row->metric());
    if (group == nullptr || !Foreseen(**group).contains(metric)) out.push_back(key);
  }
  return out;
}

std::optional<double> ForecastAt(const store::v1::LoadHistory& history, Time now, Time of) {
  const Past past(history, SpanOf(now));
  return past.ForecastOf(SpanOf(of), SpanOf(now));
}

std::optional<int> ForecastFloor(const store::v1::LoadHistory* history,
                                 const v1::PredictivePolicy& policy, Time now) {
  if (history == nullptr) return std::nullopt;
  const Past past(*history, SpanOf(now));
  std::optional<int> most;
  for (int64_t span = SpanOf(now); span <= SpanOf(now + BufferOf(policy)); ++span) {
    const auto load = past.ForecastOf(span, SpanOf(now));
    if (load) most = std::max(most.value_or(0), CapacityFor(*load, policy.target()));
  }
  return most;
}

v1::PredictiveForecast DescribeForecast(const store::v1::LoadHistory* history,
                                        const v1::ScalingPolicy& policy, Time now) {
  v1::PredictiveForecast out;
  out.set_policy(policy.name());
  if (history == nullptr) {
    out.set_missing("there is no history yet: a forecast needs a day of it");
    return out;
  }
  const Past past(*history, SpanOf(now));
  for (int64_t span = SpanOf(now); span < SpanOf(now) + kSpansADay; ++span) {
    const auto load = past.ForecastOf(span, SpanOf(now));
    if (!load) continue;
    v1::ForecastPoint& point = *out.add_points();
    *point.mutable_time() = ToProto(BeginOf(span));
    point.set_load(*load);
    point.set_capacity(CapacityFor(*load, policy.predictive().target()));
  }
  if (out.points().empty()) {
    out.set_missing(absl::StrCat("there are ", past.end() - past.begin(),
                                 " spans of 15 minutes of history: a forecast needs a day of it"));
  }
  ShowErrors(past, BufferOf(policy.predictive()), out);
  return out;
}

}  // namespace remuda::core
