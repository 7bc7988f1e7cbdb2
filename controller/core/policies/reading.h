// What a policy reads of a group's values: by instance and for the whole group. Pure.
#pragma once

#include <optional>
#include <string>

#include "controller/core/model/group_metrics.h"
#include "remuda/v1/scaling_policy.pb.h"

namespace remuda::core {

// What a policy goes by.
struct MetricRef {
  v1::ScalingMetric metric = v1::SCALING_METRIC_UNSPECIFIED;
  std::string custom = {};
  bool is_queried = false;
  bool is_total = false;  // of a custom or queried one: of the whole group
  std::string policy = {};
};

// Of a target tracking policy's or an alarm's message.
template <class Message>
MetricRef RefOf(const std::string& policy, const Message& message) {
  return {.metric = message.metric(),
          .custom = message.custom_metric(),
          .is_queried = message.has_prometheus(),
          .is_total = message.is_total(),
          .policy = policy};
}

// Its name, as in SeriesMetrics.metric.
std::string NameOf(const MetricRef& ref);

// One value. Both are there, or neither.
struct Reading {
  std::optional<double> each = std::nullopt;  // by instance in service
  std::optional<double> whole =
      std::nullopt;          // what instances are needed for: divided by the target
  std::string missing = {};  // why there is none, for a person
};
Reading ReadAt(const MetricPoint& point, const MetricRef& ref);

// Whether the metric grows where a version does worse: not so for what clients send.
bool HangsOnVersion(const MetricRef& ref);

// Whether the metric is there while no instance is, so that a group can rest at none and leave it
// by the metric.
bool SpeaksAtZero(const MetricRef& ref);

}  // namespace remuda::core
