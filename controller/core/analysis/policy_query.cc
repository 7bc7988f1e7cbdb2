#include "controller/core/analysis/policy_query.h"

#include <cmath>
#include <optional>

namespace remuda::core {
namespace {

// Null: it asks nothing.
const v1::PrometheusMetric* QueryOf(const v1::ScalingPolicy& policy) {
  const auto of = [](const auto& message) {
    return message.has_prometheus() ? &message.prometheus() : nullptr;
  };
  switch (policy.kind_case()) {
    case v1::ScalingPolicy::kTargetTracking:
      return of(policy.target_tracking());
    case v1::ScalingPolicy::kStepScaling:
      return of(policy.step_scaling().alarm());
    case v1::ScalingPolicy::kSimpleScaling:
      return of(policy.simple_scaling().alarm());
    default:
      return nullptr;
  }
}

}  // namespace

std::map<PolicyId, Probe> PolicyQueries(const State& state) {
  std::map<PolicyId, Probe> out;
  for (const auto& [id, group] : state.All<v1::AutoScalingGroup>()) {
    if (group->deleting()) continue;
    for (const v1::ScalingPolicy& policy : group->policies()) {
      const v1::PrometheusMetric* query = QueryOf(policy);
      if (query == nullptr) continue;
      std::optional<Probe> probe = PrometheusProbe(
          query->url(), Filled(query->query(), {.group = id}), FromProto(query->timeout()));
      if (probe.has_value()) out[{id, policy.name()}] = *std::move(probe);
    }
  }
  return out;
}

void TakeQueried(const Probe& probe, const ProbeOutcome& outcome, Time now, QueriedValue& value) {
  const ProbeAnswer answer = AnswerTo(probe, outcome);
  if (answer.value.has_value() && std::isfinite(*answer.value)) {
    value = {.value = answer.value, .error = "", .time = now};
  } else {
    value.error =
        answer.value.has_value() ? "the query's answer is not finite" : answer.description;
  }
}

}  // namespace remuda::core
