#include "cli/policy_text.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "cli/cell_text.h"
#include "cli/metrics_text.h"
#include "common/duration_text.h"

namespace remuda::cli {
namespace {

std::string PlainNumber(double value) { return ValueText(value, ""); }

// Of a target tracking policy or an alarm.
template <typename M>
std::string SourceText(const M& source) {
  std::string text = EnumText(source.metric());
  if (!source.custom_metric().empty()) text = absl::StrCat("custom/", source.custom_metric());
  if (source.has_prometheus()) text = source.prometheus().query();
  return absl::StrCat(text, source.is_total() ? " (total)" : "");
}

std::string TrackingText(const v1::TargetTrackingPolicy& policy) {
  std::string text = absl::StrCat("keep ", PlainNumber(policy.target()));
  if (policy.disable_scale_in()) return text + ", never in";
  if (policy.has_scale_in_after())
    absl::StrAppend(&text, ", in after ", FormatDuration(policy.scale_in_after()));
  return text;
}

std::string AlarmText(const v1::ScalingAlarm& alarm) {
  const bool is_below = alarm.comparison() == v1::ScalingAlarm::COMPARISON_BELOW;
  std::string text =
      absl::StrCat("at ", PlainNumber(alarm.threshold()), is_below ? " or below" : " or above");
  if (alarm.breached_for().seconds() > 0)
    absl::StrAppend(&text, " for ", FormatDuration(alarm.breached_for()));
  return text;
}

// `+2`, `-10%`, `=5`.
std::string AdjustmentText(v1::AdjustmentType type, int adjustment) {
  if (type == v1::ADJUSTMENT_TYPE_EXACT_CAPACITY) return absl::StrCat("=", adjustment);
  return absl::StrCat(adjustment > 0 ? "+" : "", adjustment,
                      type == v1::ADJUSTMENT_TYPE_PERCENT_CHANGE_IN_CAPACITY ? "%" : "");
}

std::string StepsText(const v1::StepScalingPolicy& policy) {
  return absl::StrCat(
      AlarmText(policy.alarm()), ": ",
      absl::StrJoin(
          policy.steps(), ", ", [&policy](std::string* out, const v1::StepAdjustment& step) {
            absl::StrAppend(out, PlainNumber(step.has_lower_bound() ? step.lower_bound() : 0), "..",
                            step.has_upper_bound() ? PlainNumber(step.upper_bound()) : "", " ",
                            AdjustmentText(policy.adjustment_type(), step.adjustment()));
          }));
}

std::string SimpleText(const v1::SimpleScalingPolicy& policy) {
  std::string text = absl::StrCat(AlarmText(policy.alarm()), ": ",
                                  AdjustmentText(policy.adjustment_type(), policy.adjustment()));
  if (policy.has_cooldown())
    absl::StrAppend(&text, ", then nothing for ", FormatDuration(policy.cooldown()));
  return text;
}

std::string ScheduledText(const v1::ScheduledPolicy& policy) {
  std::string text = policy.recurrence();
  if (text.empty()) text = absl::StrCat("once, ", FormatTimestamp(policy.start_time()));
  if (!policy.time_zone().empty()) absl::StrAppend(&text, " ", policy.time_zone());
  std::vector<std::string> numbers;
  if (policy.has_min()) numbers.push_back(absl::StrCat("min ", policy.min()));
  if (policy.has_max()) numbers.push_back(absl::StrCat("max ", policy.max()));
  if (policy.has_desired()) numbers.push_back(absl::StrCat("desired ", policy.desired()));
  return absl::StrCat(text, ": ", absl::StrJoin(numbers, ", "));
}

std::string PredictiveText(const v1::PredictivePolicy& policy) {
  const std::string target = PlainNumber(policy.target());
  if (policy.mode() == v1::PredictivePolicy::MODE_FORECAST_ONLY)
    return absl::StrCat("shows what would keep ", target);
  std::string text = absl::StrCat("at least what keeps ", target);
  if (policy.has_scheduling_buffer())
    absl::StrAppend(&text, ", ", FormatDuration(policy.scheduling_buffer()), " ahead");
  return text;
}

// `rps 340/100 -> 4`: its value, its target, what it wants.
std::string VerdictText(const v1::PolicyEvaluation& part) {
  std::string text = part.policy();
  if (part.has_value() || part.has_target() || !part.metric().empty()) {
    absl::StrAppend(&text, " ", part.has_value() ? PlainNumber(part.value()) : "-");
    if (part.has_target()) absl::StrAppend(&text, "/", PlainNumber(part.target()));
  }
  if (part.has_wanted()) absl::StrAppend(&text, " -> ", part.wanted());
  return text;
}

std::string ReasonsText(const v1::ScalingEvaluation& evaluation) {
  std::vector<std::string> reasons;
  for (const v1::PolicyEvaluation& part : evaluation.policies()) {
    if (!part.reason().empty()) reasons.push_back(absl::StrCat(part.policy(), ": ", part.reason()));
  }
  return OrDash(absl::StrJoin(reasons, "; "));
}

std::string DesiredText(const v1::ScalingEvaluation& evaluation) {
  if (evaluation.desired_before() == evaluation.desired_after())
    return absl::StrCat(evaluation.desired_after());
  return absl::StrCat(evaluation.desired_before(), " -> ", evaluation.desired_after());
}

std::string InServiceText(const v1::ScalingEvaluation& evaluation) {
  return absl::StrCat(
      evaluation.in_service(),
      evaluation.warming() > 0 ? absl::StrCat(" (", evaluation.warming(), " warming)") : "");
}

}  // namespace

std::string PolicyKindText(const v1::ScalingPolicy& policy) {
  switch (policy.kind_case()) {
    case v1::ScalingPolicy::kTargetTracking:
      return "target-tracking";
    case v1::ScalingPolicy::kStepScaling:
      return "step";
    case v1::ScalingPolicy::kSimpleScaling:
      return "simple";
    case v1::ScalingPolicy::kScheduled:
      return "scheduled";
    case v1::ScalingPolicy::kPredictive:
      return "predictive";
    case v1::ScalingPolicy::KIND_NOT_SET:
      break;
  }
  return "-";
}

std::string PolicyMetricText(const v1::ScalingPolicy& policy) {
  switch (policy.kind_case()) {
    case v1::ScalingPolicy::kTargetTracking:
      return SourceText(policy.target_tracking());
    case v1::ScalingPolicy::kStepScaling:
      return SourceText(policy.step_scaling().alarm());
    case v1::ScalingPolicy::kSimpleScaling:
      return SourceText(policy.simple_scaling().alarm());
    case v1::ScalingPolicy::kPredictive:
      return EnumText(policy.predictive().metric());
    case v1::ScalingPolicy::kScheduled:
    case v1::ScalingPolicy::KIND_NOT_SET:
      break;
  }
  return "-";
}

std::string PolicyRuleText(const v1::ScalingPolicy& policy) {
  switch (policy.kind_case()) {
    case v1::ScalingPolicy::kTargetTracking:
      return TrackingText(policy.target_tracking());
    case v1::ScalingPolicy::kStepScaling:
      return StepsText(policy.step_scaling());
    case v1::ScalingPolicy::kSimpleScaling:
      return SimpleText(policy.simple_scaling());
    case v1::ScalingPolicy::kScheduled:
      return ScheduledText(policy.scheduled());
    case v1::ScalingPolicy::kPredictive:
      return PredictiveText(policy.predictive());
    case v1::ScalingPolicy::KIND_NOT_SET:
      break;
  }
  return "-";
}

Table PoliciesTable(const google::protobuf::RepeatedPtrField<v1::ScalingPolicy>& policies) {
  Table table = {{"NAME", "KIND", "ENABLED", "METRIC", "RULE"}, {}};
  for (const v1::ScalingPolicy& policy : policies) {
    table.rows.push_back({policy.name(), PolicyKindText(policy), policy.disabled() ? "no" : "yes",
                          PolicyMetricText(policy), PolicyRuleText(policy)});
  }
  return table;
}

Table EvaluationsTable(const std::vector<v1::ScalingEvaluation>& evaluations, bool is_wide) {
  Table table = {{"TIME", "DESIRED", "IN-SERVICE", "POLICIES", "OUTCOME"}, {}};
  if (is_wide) table.headers.emplace_back("REASONS");
  for (const v1::ScalingEvaluation& evaluation : evaluations) {
    auto& row = table.rows.emplace_back();
    row = {FormatDate(evaluation.time()), DesiredText(evaluation), InServiceText(evaluation),
           OrDash(absl::StrJoin(evaluation.policies(), "; ",
                                [](std::string* out, const v1::PolicyEvaluation& part) {
                                  absl::StrAppend(out, VerdictText(part));
                                })),
           OrDash(evaluation.outcome())};
    if (is_wide) row.push_back(ReasonsText(evaluation));
  }
  return table;
}

std::string ForecastNote(const v1::PredictiveForecast& forecast) {
  if (!forecast.missing().empty())
    return absl::StrCat(forecast.policy(), " foresees nothing: ", forecast.missing());
  if (!forecast.has_error_percent()) return "";
  std::string text = absl::StrCat("forecasts were off by ",
                                  ValueText(forecast.error_percent(), "%"), " of the mean load");
  if (forecast.has_baseline_error_percent()) {
    absl::StrAppend(&text, "; last week's value by ",
                    ValueText(forecast.baseline_error_percent(), "%"));
  }
  return text;
}

Table ForecastTable(const v1::PredictiveForecast& forecast) {
  Table table = {{"TIME", "LOAD", "INSTANCES"}, {}};
  for (const v1::ForecastPoint& point : forecast.points()) {
    table.rows.push_back(
        {FormatDate(point.time()), PlainNumber(point.load()), absl::StrCat(point.capacity())});
  }
  return table;
}

}  // namespace remuda::cli
