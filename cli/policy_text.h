// Scaling policies, what they decided and what they foresee, as people read it. Pure.
#pragma once

#include <string>
#include <vector>

#include "cli/table_layout.h"
#include "remuda/v1/scaling_policy.pb.h"

namespace remuda::cli {

// `target-tracking`, `step`, `simple`, `scheduled`, `predictive`.
std::string PolicyKindText(const v1::ScalingPolicy& policy);
// What it goes by: `REQUEST_COUNT_PER_TARGET`, `custom/queue-depth`, a query; `-`.
std::string PolicyMetricText(const v1::ScalingPolicy& policy);
// What it does: `keep 100`, `above 80 for 60s: +2`, `0 8 * * 1-5 Europe/Berlin: min 2`.
std::string PolicyRuleText(const v1::ScalingPolicy& policy);

Table PoliciesTable(const google::protobuf::RepeatedPtrField<v1::ScalingPolicy>& policies);

// A row an evaluation. `is_wide`: with each policy's reason.
Table EvaluationsTable(const std::vector<v1::ScalingEvaluation>& evaluations, bool is_wide);

// Why there is none; or how far off forecasts were, beside the baseline's; or empty.
std::string ForecastNote(const v1::PredictiveForecast& forecast);
Table ForecastTable(const v1::PredictiveForecast& forecast);

}  // namespace remuda::cli
