// A group and its values as a test says them, and what its policies make of them.
#pragma once

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "controller/core/model/capacity.h"
#include "controller/core/model/observations.h"
#include "controller/core/model/state.h"
#include "controller/core/policies/evaluate.h"

namespace remuda::core {

class Policies {
 public:
  explicit Policies(const char* text, int desired = 2, int min = 1, int max = 100)
      : Policies(text, "", desired, min, max) {}
  Policies(const char* text, const char* more, int desired = 2, int min = 1, int max = 100) {
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(absl::StrCat(text, more), &group));
    group.set_name("autoScalingGroups/web");
    group.set_min(min);
    group.set_max(max);
    if (!group.has_instance_warmup()) group.mutable_instance_warmup()->set_seconds(30);
    SetDesired(group, desired, "", now);
    seen.metrics.period = absl::Seconds(5);
    seen.metrics.histories["web"].last_request = now;
  }

  v1::AutoScalingGroup group;
  Observations seen;
  Time now = absl::FromUnixSeconds(1'000'000);
  bool is_deploying = false;
  bool obeys = true;  // the capacity follows what is decided

  // A period passes; `point` has what was measured in it. The row of it.
  const v1::ScalingEvaluation& See(MetricPoint point) {
    now += seen.metrics.period;
    point.time = now;
    if (point.in_service == 0) point.in_service = DesiredOf(group);
    if (point.bearing == 0) point.bearing = point.in_service;
    auto& history = seen.metrics.histories["web"];
    history.points.push_back(point);
    if (history.points.size() > MetricHistory::kPoints) history.points.pop_front();
    State state;
    Changes changes;
    changes.edits.push_back(
        {Kind::kAutoScalingGroup, "web", std::make_shared<const v1::AutoScalingGroup>(group)});
    if (is_deploying) {
      v1::Deployment deployment;
      deployment.set_auto_scaling_group("web");
      deployment.set_state(v1::DEPLOYMENT_STATE_IN_PROGRESS);
      changes.edits.push_back(
          {Kind::kDeployment, "d", std::make_shared<const v1::Deployment>(deployment)});
    }
    state.Apply(changes, 1);
    EvaluateGroups(state, seen, now);
    Evaluations& kept = seen.metrics.evaluations["web"];
    if (obeys && kept.wanted.has_value()) {
      SetByPolicy(group, {.policy = kept.policy, .desired = *kept.wanted, .cause = kept.why}, now);
    }
    return kept.rows.back();
  }
  const v1::ScalingEvaluation& Requests(double a_second) { return See({.requests = a_second}); }
  const v1::ScalingEvaluation& Cpu(double percent) { return See({.cpu_percent = percent}); }
  // The same values for so long.
  template <class Fn>
  void For(Duration span, Fn fn) {
    for (const Time end = now + span; now < end;) fn();
  }
  int desired() const { return DesiredOf(group); }
};

}  // namespace remuda::core
