// What is read of groups' metrics, and what is given of them. Pure. Thread: the loop thread.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "controller/core/door/snapshot.h"
#include "remuda/v1/metrics.pb.h"

namespace remuda::core {

// The newest `most` values of a group (id) that are newer than `after`. Without instances and
// silent receivers if there are none.
v1::GroupMetrics MetricsAfter(const Snapshot& from, const std::string& group, Time after, int most);

// Custom metrics that hold of one group (metrics.proto).
inline constexpr int kCustomMetricsAnAsg = 20;

// What fields `auto_scaling_group` and `points` of a request ask for: INVALID_ARGUMENT or
// NOT_FOUND.
struct MetricsWanted {
  std::string group;  // id
  int points = 0;
};
absl::StatusOr<MetricsWanted> WantedMetrics(const Snapshot& from, const std::string& group,
                                            int points);

absl::StatusOr<v1::GroupMetrics> Read(const Snapshot& from, const v1::GetMetricsRequest& request);

absl::StatusOr<v1::PredictiveForecast> Read(const Snapshot& from,
                                            const v1::GetPredictiveForecastRequest& request);

// Takes values of custom metrics: all, or none with what is wrong.
absl::Status TakeMetricData(const State& state, const v1::PutMetricDataRequest& request, Time now,
                            GroupMetrics& metrics);

}  // namespace remuda::core
