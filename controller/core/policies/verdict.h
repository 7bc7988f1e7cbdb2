// What policies are given, and what one of them answers. Pure values.
#pragma once

#include <optional>
#include <string>

#include "controller/core/model/capacity.h"
#include "controller/core/model/group_metrics.h"
#include "controller/core/model/policy_memory.h"
#include "controller/core/model/state.h"
#include "remuda/v1/auto_scaling.pb.h"

namespace remuda::core {

// What the policies of one group look at.
struct Inputs {
  const State& state;
  const std::string& id;
  const v1::AutoScalingGroup& group;
  const MetricHistory& history;  // at least one point
  Duration period;
  bool is_deploying = false;
  Time now;

  const MetricPoint& newest() const { return history.points.back(); }
  int desired() const { return DesiredOf(group); }
};

struct Verdict {
  std::string metric = {};
  std::optional<double> value = std::nullopt;
  std::optional<double> target = std::nullopt;
  // How many it wants; nothing: it has no wish.
  std::optional<int> wanted = std::nullopt;
  // No other may want fewer.
  std::optional<int> floor = std::nullopt;
  // No other may take instances away meanwhile: what it would say is not known.
  bool bars_scale_in = false;
  // What it measures depends on the version that runs: a bad one makes it grow.
  bool hangs_on_version = false;
  std::string reason = {};
};

// When the policy last acted; InfinitePast: never.
Time LastActed(const v1::AutoScalingGroup& group, const std::string& policy);

// The field of the capacity as a time; InfinitePast if it is not set.
Time ScaledOutAt(const v1::AutoScalingGroup& group);
Time ScaledInAt(const v1::AutoScalingGroup& group);

// "12.5", "300": three digits that count.
std::string NumberText(double value);

}  // namespace remuda::core
