#include "controller/metering/group_page.h"

#include <absl/strings/str_cat.h>

#include <optional>
#include <utility>

namespace remuda {
namespace {

using core::MetricPoint;

struct Gauge {
  const char* name;
  const char* labels;  // beside the group's; empty: none
  const char* help;    // null: as the one before
  std::optional<double> (*value)(const MetricPoint&);
};

std::optional<double> Seconds(const std::optional<double>& milliseconds) {
  return milliseconds ? std::optional(*milliseconds / 1000) : std::nullopt;
}

constexpr Gauge kGauges[] = {
    {"remuda_group_cpu_percent", "", "Average of its warm instances: of limits.cpu or of one core.",
     [](const MetricPoint& point) { return point.cpu_percent; }},
    {"remuda_group_memory_percent", "",
     "Average of its warm instances: of limits.memory or of their hosts'.",
     [](const MetricPoint& point) { return point.memory_percent; }},
    {"remuda_group_requests_per_second", "", "Over all proxies.",
     [](const MetricPoint& point) { return point.requests; }},
    {"remuda_group_errors_per_second", "", "Of the requests: answered with 5xx, or not answered.",
     [](const MetricPoint& point) { return point.errors; }},
    {"remuda_group_latency_seconds", ",quantile=\"0.5\"", "Of the requests of the newest period.",
     [](const MetricPoint& point) { return Seconds(point.latency_p50_ms); }},
    {"remuda_group_latency_seconds", ",quantile=\"0.99\"", nullptr,
     [](const MetricPoint& point) { return Seconds(point.latency_p99_ms); }},
    {"remuda_group_in_flight", "", "Requests in flight now.",
     [](const MetricPoint& point) { return point.in_flight; }},
    {"remuda_group_queued", "", "Requests that wait for a place or a first target now.",
     [](const MetricPoint& point) { return point.queued; }},
    {"remuda_group_network_in_bytes_per_second", "", "Bytes that proxies send to it.",
     [](const MetricPoint& point) { return point.network_in; }},
    {"remuda_group_network_out_bytes_per_second", "", "Bytes that proxies receive from it.",
     [](const MetricPoint& point) { return point.network_out; }},
    {"remuda_group_in_service", "", "Instances in service.",
     [](const MetricPoint& point) { return std::optional<double>(point.in_service); }},
    {"remuda_group_warming", "", "Instances in service or on their way up that are not warm yet.",
     [](const MetricPoint& point) { return std::optional<double>(point.warming); }},
    {"remuda_group_desired", "", "Instances that are wanted.",
     [](const MetricPoint& point) { return std::optional<double>(point.desired); }},
};

}  // namespace

void GroupPage::Publish(const core::GroupMetrics& metrics) {
  auto rows = std::make_shared<Rows>();
  rows->reserve(metrics.histories.size());
  for (const auto& [group, history] : metrics.histories) {
    if (history.points.empty()) continue;
    rows->push_back({group, history.points.back()});
  }
  const std::lock_guard lock(mutex_);
  rows_ = std::move(rows);
}

std::string GroupPage::Print() const {
  std::shared_ptr<const Rows> rows;
  {
    const std::lock_guard lock(mutex_);
    rows = rows_;
  }
  std::string out;
  for (const Gauge& gauge : kGauges) {
    if (gauge.help != nullptr) {
      absl::StrAppend(&out, "# HELP ", gauge.name, " ", gauge.help, "\n# TYPE ", gauge.name,
                      " gauge\n");
    }
    for (const auto& [group, point] : *rows) {
      const std::optional<double> value = gauge.value(point);
      if (!value) continue;
      absl::StrAppend(&out, gauge.name, "{auto_scaling_group=\"", group, "\"", gauge.labels, "} ",
                      *value, "\n");
    }
  }
  return out;
}

}  // namespace remuda
