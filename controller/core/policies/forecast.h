// Forecast: a group's load ahead of time, from its own past. Pure. Thread: the loop thread.
//
// The load is the metric summed over instances, as means of 15 minutes (LoadHistory, store.proto).
// What is expected of a span is the weighted mean of the same span 1, 2, 7 and 14 days before (2,
// 1, 8 and 4; those that are not known are left out), times what the newest 8 known spans were
// beside what the same rule says of them (0.5 to 2). The baseline that it is compared with is the
// same span a week before.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/core/model/group_metrics.h"
#include "controller/core/model/state.h"

namespace remuda::core {

inline constexpr Duration kLoadSpan = absl::Minutes(15);
inline constexpr int kSpansADay = 96;
inline constexpr int kSpansKept = 21 * kSpansADay;

// Takes the newest point of each group for which a policy forecasts. Answers the rows, by key, to
// which a span has been added: once a span each.
std::map<std::string, store::v1::LoadHistory> TakeLoads(const State& state, GroupMetrics& metrics,
                                                        Time now);

// Keys of rows of which no policy forecasts any more.
std::vector<std::string> UnneededLoads(const State& state);

// The load that is expected of the span that `of` is in, from what is known at `now`. Nothing:
// there is less than a day of history, or none of the spans that it is made of. Of up to a day
// ahead.
std::optional<double> ForecastAt(const store::v1::LoadHistory& history, Time now, Time of);

// How many instances the policy's group needs for what is expected from `now` until the end of its
// scheduling_buffer. `history` may be null. Nothing: no forecast.
std::optional<int> ForecastFloor(const store::v1::LoadHistory* history,
                                 const v1::PredictivePolicy& policy, Time now);

// What is expected of the next day; and how well the rule did in the last week, a scheduling_buffer
// ahead, beside the baseline.
v1::PredictiveForecast DescribeForecast(const store::v1::LoadHistory* history,
                                        const v1::ScalingPolicy& policy, Time now);

}  // namespace remuda::core
