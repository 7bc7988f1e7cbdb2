#include "controller/core/policies/reading.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace remuda::core {
namespace {

// An average over instances, which `bearing` of them have.
Reading Average(const std::optional<double>& value, const MetricPoint& point, const char* what) {
  if (!value.has_value()) {
    return {.missing = absl::StrCat("no ", what, " is known of any warm instance in service")};
  }
  return {.each = *value, .whole = *value * point.bearing};
}

// A sum over the group.
Reading Sum(const std::optional<double>& value, const MetricPoint& point, const char* what) {
  if (!value.has_value()) return {.missing = absl::StrCat("no proxy tells of ", what)};
  return {.each = *value / std::max(1, point.in_service), .whole = *value};
}

Reading Given(double value, bool is_total, const MetricPoint& point) {
  if (is_total) return Sum(value, point, "");
  return Average(value, point, "");
}

Reading OfMetric(const MetricPoint& point, v1::ScalingMetric metric) {
  switch (metric) {
    case v1::SCALING_METRIC_REQUEST_COUNT_PER_TARGET:
      return Sum(point.requests, point, "requests");
    case v1::SCALING_METRIC_AVERAGE_CPU_UTILIZATION:
      return Average(point.cpu_percent, point, "processor time");
    case v1::SCALING_METRIC_AVERAGE_MEMORY_UTILIZATION:
      return Average(point.memory_percent, point, "memory");
    case v1::SCALING_METRIC_IN_FLIGHT_PER_TARGET: {
      std::optional<double> load = point.in_flight;
      if (load.has_value()) *load += point.queued.value_or(0);
      return Sum(load, point, "requests in flight");
    }
    case v1::SCALING_METRIC_NETWORK_IN_PER_TARGET:
      return Sum(point.network_in, point, "bytes");
    case v1::SCALING_METRIC_NETWORK_OUT_PER_TARGET:
      return Sum(point.network_out, point, "bytes");
    default:
      return {.missing = "it has no metric"};
  }
}

const char* NameOf(v1::ScalingMetric metric) {
  switch (metric) {
    case v1::SCALING_METRIC_REQUEST_COUNT_PER_TARGET:
      return "requests";
    case v1::SCALING_METRIC_AVERAGE_CPU_UTILIZATION:
      return "cpu";
    case v1::SCALING_METRIC_AVERAGE_MEMORY_UTILIZATION:
      return "memory";
    case v1::SCALING_METRIC_IN_FLIGHT_PER_TARGET:
      return "in_flight";
    case v1::SCALING_METRIC_NETWORK_IN_PER_TARGET:
      return "network_in";
    case v1::SCALING_METRIC_NETWORK_OUT_PER_TARGET:
      return "network_out";
    default:
      return "";
  }
}

}  // namespace

std::string NameOf(const MetricRef& ref) {
  if (!ref.custom.empty()) return absl::StrCat("custom/", ref.custom);
  if (ref.is_queried) return absl::StrCat("query/", ref.policy);
  return NameOf(ref.metric);
}

Reading ReadAt(const MetricPoint& point, const MetricRef& ref) {
  if (!ref.custom.empty()) {
    const auto it = point.custom.find(ref.custom);
    if (it == point.custom.end()) {
      return {.missing = absl::StrCat("nobody has given custom metric ", ref.custom, " lately")};
    }
    return Given(it->second, ref.is_total, point);
  }
  if (ref.is_queried) {
    const auto it = point.queried.find(ref.policy);
    if (it != point.queried.end()) return Given(it->second, ref.is_total, point);
    const auto error = point.query_errors.find(ref.policy);
    return {.missing = error == point.query_errors.end() ? "its query has not been answered yet"
                                                         : error->second};
  }
  return OfMetric(point, ref.metric);
}

bool HangsOnVersion(const MetricRef& ref) {
  return ref.metric != v1::SCALING_METRIC_REQUEST_COUNT_PER_TARGET &&
         ref.metric != v1::SCALING_METRIC_NETWORK_IN_PER_TARGET;
}

bool SpeaksAtZero(const MetricRef& ref) {
  return ref.is_total && (!ref.custom.empty() || ref.is_queried);
}

}  // namespace remuda::core
