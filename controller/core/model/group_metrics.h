// What is measured of a group at one moment after another, and what its policies made of it. Kept
// in memory, never persisted.
//
// Owns: the values. Does not own: how reports become values (metrics/fold.h), what policies make of
// them (policies/evaluate.h). Thread: the loop thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "controller/core/model/policy_memory.h"
#include "controller/core/model/time.h"
#include "remuda/v1/deployment.pb.h"
#include "remuda/v1/scaling_policy.pb.h"

namespace remuda::core {

// The values of one period. Averages are over the instances in service that are warm and were heard
// of; while a deployment is under way, over those of the version that it leaves (the stable side)
// as long as they have a share of the traffic. Nothing: missing.
struct MetricPoint {
  Time time = absl::InfinitePast();
  // Averages, in per cent (ScalingMetric in scaling_policy.proto).
  std::optional<double> cpu_percent = std::nullopt;
  std::optional<double> memory_percent = std::nullopt;
  // Of the whole group, both sides of a deployment.
  std::optional<double> requests = std::nullopt;  // a second
  std::optional<double> errors = std::nullopt;    // a second
  std::optional<double> latency_p50_ms = std::nullopt;
  std::optional<double> latency_p99_ms = std::nullopt;
  // Now; while a deployment is under way the stable side's, divided by its share of the traffic.
  std::optional<double> in_flight = std::nullopt;
  std::optional<double> queued = std::nullopt;       // now: for a place, or for a first target
  std::optional<double> network_in = std::nullopt;   // bytes a second
  std::optional<double> network_out = std::nullopt;  // bytes a second
  // What PutMetricData gave, by name, while it holds.
  std::map<std::string, double> custom = {};
  // What the queries of policies answered, by the policy's name.
  std::map<std::string, double> queried = {};
  std::map<std::string, std::string> query_errors = {};  // why not
  int restarts = 0;                                      // by agents, in this period
  int in_service = 0;
  int warming = 0;  // in service or on their way up, and not warm yet
  int desired = 0;
  // How many instances like those of the averages would bear the group's load: those in service
  // with a share of the traffic, without a deployment; with one those of the stable side, divided
  // by its share.
  double bearing = 0;
};

// A group's values, the oldest first.
struct MetricHistory {
  static constexpr size_t kPoints = 720;
  std::deque<MetricPoint> points;
  // When a request last came or was waited for, or it was not known whether one did; when the
  // controller began if none of that has been since.
  Time last_request = absl::InfinitePast();
};

// What PutMetricData gave.
struct CustomValue {
  double value = 0;
  Time time = absl::InfinitePast();
};

// What a query of a policy answered last.
struct QueriedValue {
  std::optional<double> value = std::nullopt;
  std::string error = {};  // why there is none
  Time time = absl::InfinitePast();
};

// The newest evaluations of a group, the oldest first.
struct Evaluations {
  static constexpr size_t kKept = 1000;
  std::deque<v1::ScalingEvaluation> rows;
  // What the newest decided is to be done; nothing: it stays.
  std::optional<int> wanted = std::nullopt;
  std::string policy = {};  // that wants it
  std::string why = {};
  Time time = absl::InfinitePast();
  // While a deployment is under way: how many were desired when it began.
  std::optional<int> before_deployment = std::nullopt;
  Time point = absl::InfinitePast();                               // the values that it was made of
  std::map<std::string, PolicyMemory, std::less<>> memories = {};  // by policy
};

// The span of a load history that is under way (store.proto).
struct LoadSpan {
  Time start = absl::InfinitePast();
  double sum = 0;
  int number = 0;
};

// By group; of policies and custom metrics by (group, name).
struct GroupMetrics {
  Duration period = absl::Seconds(5);
  std::map<std::string, MetricHistory, std::less<>> histories;
  std::map<std::pair<std::string, std::string>, CustomValue> custom;
  std::map<std::pair<std::string, std::string>, QueriedValue> queried;
  std::map<std::string, Evaluations, std::less<>> evaluations;
  // By group and ScalingMetric: of those for which a policy forecasts.
  std::map<std::pair<std::string, int>, LoadSpan> spans;
  // What of its traffic the newest point of a group holds already.
  std::map<std::string, v1::SideCounts, std::less<>> counted;
  // Target groups for which requests wait at proxies, and when that was heard last.
  std::map<std::string, Time, std::less<>> wakes;
};

}  // namespace remuda::core
