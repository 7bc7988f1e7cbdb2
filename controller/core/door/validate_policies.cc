#include "controller/core/door/validate_policies.h"

#include <absl/strings/str_cat.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cmath>

#include "controller/core/analysis/http_url.h"
#include "controller/core/model/capacity.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"
#include "controller/core/model/words.h"
#include "controller/core/schedule/cron.h"

namespace remuda::core {
namespace {

constexpr Duration kScaleInAfter = absl::Seconds(150);
constexpr Duration kScaleInCooldown = absl::Seconds(60);
constexpr Duration kSimpleCooldown = absl::Seconds(300);
constexpr Duration kSchedulingBuffer = absl::Seconds(300);
constexpr Duration kQueryTimeout = absl::Seconds(10);
constexpr char kUtc[] = "UTC";

template <class Message>
void DefaultQuery(Message& message) {
  if (message.has_prometheus() && !message.prometheus().has_timeout()) {
    *message.mutable_prometheus()->mutable_timeout() = ToProto(kQueryTimeout);
  }
}

void DefaultAlarm(v1::ScalingAlarm& alarm) {
  DefaultQuery(alarm);
  if (!alarm.has_breached_for()) *alarm.mutable_breached_for() = ToProto(absl::ZeroDuration());
  if (alarm.comparison() == v1::ScalingAlarm::COMPARISON_UNSPECIFIED) {
    alarm.set_comparison(v1::ScalingAlarm::COMPARISON_ABOVE);
  }
}

void CheckQuery(Violations& out, const FieldPath& at, const v1::PrometheusMetric& value) {
  HttpUrl url;
  const std::string fault = ParseHttpUrl(value.url(), url);
  if (!fault.empty()) {
    // What holds a password is not said again.
    const bool is_secret = value.url().find('@') != std::string::npos;
    out.Add(at / "url", is_secret ? fault : absl::StrCat(Quoted(value.url()), " ", fault));
  } else if (url.target.find('?') != std::string::npos) {
    out.Add(at / "url", "must not have a query: `/api/v1/query` is added to it");
  }
  if (value.query().empty()) out.Add(at / "query", "must not be empty");
  CheckText(out, at / "query", value.query(), limits::kQueryBytes, /*multiline=*/true);
  CheckDuration(out, at / "timeout", value.timeout(), limits::kMinProbeTimeout,
                limits::kMaxProbeTimeout);
}

// Exactly one of metric, custom_metric, prometheus.
template <class Message>
void CheckMetric(Violations& out, const FieldPath& at, const Message& value) {
  const bool has_metric = value.metric() != v1::SCALING_METRIC_UNSPECIFIED;
  const int count = has_metric + !value.custom_metric().empty() + value.has_prometheus();
  if (count != 1) {
    out.Add(at / "metric", count == 0
                               ? "must be set, or custom_metric, or prometheus"
                               : "only one of metric, custom_metric and prometheus may be set");
  }
  if (has_metric) CheckKnown(out, at / "metric", value.metric(), "a scaling metric");
  if (!value.custom_metric().empty() && !IsValidId(value.custom_metric())) {
    out.Add(at / "custom_metric",
            absl::StrCat(Quoted(value.custom_metric()), " ", limits::kIdRule));
  }
  if (value.has_prometheus()) CheckQuery(out, at / "prometheus", value.prometheus());
  if (value.is_total() && has_metric) {
    out.Add(at / "is_total", "is for custom_metric and prometheus only");
  }
}

void CheckTarget(Violations& out, const FieldPath& at, double value) {
  if (value >= limits::kMinPolicyTarget && value <= limits::kMaxPolicyTarget) return;
  out.Add(at, absl::StrCat(value, " must be above 0 (", limits::kMinPolicyTarget,
                           " at least) and at most ", limits::kMaxPolicyTarget));
}

void CheckPolicyTime(Violations& out, const FieldPath& at,
                     const google::protobuf::Duration& value) {
  CheckDuration(out, at, value, absl::ZeroDuration(), limits::kMaxPolicyTime);
}

void CheckPolicyKind(Violations& out, const FieldPath& at, const v1::TargetTrackingPolicy& value) {
  CheckMetric(out, at, value);
  CheckTarget(out, at / "target", value.target());
  CheckPolicyTime(out, at / "scale_in_after", value.scale_in_after());
  CheckPolicyTime(out, at / "scale_in_cooldown", value.scale_in_cooldown());
  CheckPolicyTime(out, at / "scale_out_cooldown", value.scale_out_cooldown());
}

void CheckAlarm(Violations& out, const FieldPath& at, const v1::ScalingAlarm& value) {
  CheckMetric(out, at, value);
  if (!std::isfinite(value.threshold()) || value.threshold() < 0 ||
      value.threshold() > limits::kMaxPolicyTarget) {
    out.Add(at / "threshold",
            absl::StrCat(value.threshold(), " is not within 0-", limits::kMaxPolicyTarget));
  }
  CheckKnown(out, at / "comparison", value.comparison(), "ABOVE or BELOW");
  CheckPolicyTime(out, at / "breached_for", value.breached_for());
}

void CheckAdjustment(Violations& out, const FieldPath& at, v1::AdjustmentType type,
                     int adjustment) {
  const int least = type == v1::ADJUSTMENT_TYPE_EXACT_CAPACITY ? 0 : -limits::kGroupInstances;
  CheckRange(out, at, adjustment, least, limits::kGroupInstances);
}

void CheckMinAdjustment(Violations& out, const FieldPath& at, v1::AdjustmentType type, int value) {
  CheckRange(out, at, value, 0, limits::kGroupInstances);
  if (value != 0 && type != v1::ADJUSTMENT_TYPE_PERCENT_CHANGE_IN_CAPACITY) {
    out.Add(at, "is for PERCENT_CHANGE_IN_CAPACITY only");
  }
}

void CheckPolicyKind(Violations& out, const FieldPath& at, const v1::StepScalingPolicy& value) {
  CheckAlarm(out, at / "alarm", value.alarm());
  CheckKnown(out, at / "adjustment_type", value.adjustment_type(), "an adjustment type");
  CheckMinAdjustment(out, at / "min_adjustment", value.adjustment_type(), value.min_adjustment());
  CheckCount(out, at / "steps", value.steps_size(), 1, limits::kStepsAPolicy);
  std::vector<std::pair<double, double>> ranges;
  for (int i = 0; i < value.steps_size(); ++i) {
    const v1::StepAdjustment& step = value.steps(i);
    const FieldPath here = (at / "steps")[i];
    CheckAdjustment(out, here / "adjustment", value.adjustment_type(), step.adjustment());
    const double from = step.lower_bound();
    const double to = step.has_upper_bound() ? step.upper_bound() : INFINITY;
    if (!std::isfinite(from) || from < 0) {
      out.Add(here / "lower_bound", absl::StrCat(from,
                                                 " must be a number from 0 on: what the metric "
                                                 "is beyond the threshold"));
    } else if (!(to > from)) {
      out.Add(here / "upper_bound", absl::StrCat(to, " must be above lower_bound ", from));
    } else {
      for (const auto& [low, high] : ranges) {
        if (from < high && low < to) {
          out.Add(here, absl::StrCat("its range overlaps with that from ", low));
          break;
        }
      }
      ranges.emplace_back(from, to);
    }
  }
}

void CheckPolicyKind(Violations& out, const FieldPath& at, const v1::SimpleScalingPolicy& value) {
  CheckAlarm(out, at / "alarm", value.alarm());
  CheckKnown(out, at / "adjustment_type", value.adjustment_type(), "an adjustment type");
  CheckAdjustment(out, at / "adjustment", value.adjustment_type(), value.adjustment());
  CheckMinAdjustment(out, at / "min_adjustment", value.adjustment_type(), value.min_adjustment());
  CheckPolicyTime(out, at / "cooldown", value.cooldown());
}

bool CheckMoment(Violations& out, const FieldPath& at, bool is_set,
                 const google::protobuf::Timestamp& value) {
  if (!is_set) return false;
  constexpr int64_t kFirst = -62135596800;  // the year 1
  constexpr int64_t kLast = 253402300799;   // the end of the year 9999
  if (value.seconds() >= kFirst && value.seconds() <= kLast && value.nanos() >= 0 &&
      value.nanos() < 1'000'000'000) {
    return true;
  }
  out.Add(at, "is no time within the years 1-9999");
  return false;
}

void CheckPolicyKind(Violations& out, const FieldPath& at, const v1::ScheduledPolicy& value,
                     const Observations& seen) {
  const bool has_start =
      CheckMoment(out, at / "start_time", value.has_start_time(), value.start_time());
  const bool has_end = CheckMoment(out, at / "end_time", value.has_end_time(), value.end_time());
  if (has_start && has_end && FromProto(value.end_time()) <= FromProto(value.start_time())) {
    out.Add(at / "end_time", "must be after start_time");
  }
  if (value.recurrence().empty()) {
    if (!value.has_start_time()) {
      out.Add(at / "recurrence", "must be set, or start_time for a policy that acts once");
    }
  } else if (Cron cron; true) {
    const std::string fault = value.recurrence().size() > kCronBytes
                                  ? absl::StrCat("is longer than ", kCronBytes, " bytes")
                                  : ParseCron(value.recurrence(), cron);
    if (!fault.empty())
      out.Add(at / "recurrence", absl::StrCat(Quoted(value.recurrence()), ": ", fault));
  }
  if (seen.find_zone == nullptr || !seen.find_zone(value.time_zone()).has_value()) {
    out.Add(at / "time_zone", absl::StrCat(Quoted(value.time_zone()),
                                           " is no time zone that the controller's machine knows"));
  }
  if (!value.has_min() && !value.has_max() && !value.has_desired()) {
    out.Add(at, "must have min, max or desired: it would do nothing");
  }
  CheckRange(out, at / "min", value.min(), 0, limits::kGroupInstances);
  CheckRange(out, at / "max", value.max(), 0, limits::kGroupInstances);
  CheckRange(out, at / "desired", value.desired(), 0, limits::kGroupInstances);
  if (value.has_min() && value.has_max() && value.min() > value.max()) {
    out.Add(at / "min", absl::StrCat(value.min(), " is above max ", value.max()));
  }
}

void CheckPolicyKind(Violations& out, const FieldPath& at, const v1::PredictivePolicy& value) {
  if (!IsKnown(value.metric()) || value.metric() == v1::SCALING_METRIC_UNSPECIFIED) {
    out.Add(at / "metric", "must be a scaling metric");
  }
  CheckTarget(out, at / "target", value.target());
  if (!IsKnown(value.mode()) || value.mode() == v1::PredictivePolicy::MODE_UNSPECIFIED) {
    out.Add(at / "mode", "must be FORECAST_ONLY or FORECAST_AND_SCALE");
  }
  CheckDuration(out, at / "scheduling_buffer", value.scheduling_buffer(), absl::ZeroDuration(),
                limits::kMaxSchedulingBuffer);
}

void CheckPolicy(Violations& out, const FieldPath& at, const v1::ScalingPolicy& policy,
                 const Observations& seen) {
  switch (policy.kind_case()) {
    case v1::ScalingPolicy::kTargetTracking:
      return CheckPolicyKind(out, at / "target_tracking", policy.target_tracking());
    case v1::ScalingPolicy::kStepScaling:
      return CheckPolicyKind(out, at / "step_scaling", policy.step_scaling());
    case v1::ScalingPolicy::kSimpleScaling:
      return CheckPolicyKind(out, at / "simple_scaling", policy.simple_scaling());
    case v1::ScalingPolicy::kScheduled:
      return CheckPolicyKind(out, at / "scheduled", policy.scheduled(), seen);
    case v1::ScalingPolicy::kPredictive:
      return CheckPolicyKind(out, at / "predictive", policy.predictive());
    case v1::ScalingPolicy::KIND_NOT_SET:
      out.Add(
          at,
          "must be one of target_tracking, step_scaling, simple_scaling, scheduled, predictive");
  }
}

// The policy of that name; null if there is none.
const v1::ScalingPolicy* FindPolicy(const v1::AutoScalingGroup* group, const std::string& name) {
  if (group == nullptr) return nullptr;
  for (const v1::ScalingPolicy& policy : group->policies()) {
    if (policy.name() == name) return &policy;
  }
  return nullptr;
}

bool IsUnchanged(const v1::AutoScalingGroup* before, const v1::ScalingPolicy& policy) {
  const v1::ScalingPolicy* was = FindPolicy(before, policy.name());
  return was != nullptr && google::protobuf::util::MessageDifferencer::Equals(*was, policy);
}

}  // namespace

void ApplyDefaults(v1::ScalingPolicy& policy) {
  if (policy.has_target_tracking()) {
    auto& kind = *policy.mutable_target_tracking();
    DefaultQuery(kind);
    if (!kind.has_scale_in_after()) *kind.mutable_scale_in_after() = ToProto(kScaleInAfter);
    if (!kind.has_scale_in_cooldown())
      *kind.mutable_scale_in_cooldown() = ToProto(kScaleInCooldown);
    if (!kind.has_scale_out_cooldown())
      *kind.mutable_scale_out_cooldown() = ToProto(absl::ZeroDuration());
  } else if (policy.has_step_scaling()) {
    auto& kind = *policy.mutable_step_scaling();
    DefaultAlarm(*kind.mutable_alarm());
    if (kind.adjustment_type() == v1::ADJUSTMENT_TYPE_UNSPECIFIED)
      kind.set_adjustment_type(v1::ADJUSTMENT_TYPE_CHANGE_IN_CAPACITY);
  } else if (policy.has_simple_scaling()) {
    auto& kind = *policy.mutable_simple_scaling();
    DefaultAlarm(*kind.mutable_alarm());
    if (kind.adjustment_type() == v1::ADJUSTMENT_TYPE_UNSPECIFIED)
      kind.set_adjustment_type(v1::ADJUSTMENT_TYPE_CHANGE_IN_CAPACITY);
    if (!kind.has_cooldown()) *kind.mutable_cooldown() = ToProto(kSimpleCooldown);
  } else if (policy.has_scheduled()) {
    auto& kind = *policy.mutable_scheduled();
    if (kind.time_zone().empty()) kind.set_time_zone(kUtc);
  } else if (policy.has_predictive()) {
    auto& kind = *policy.mutable_predictive();
    if (!kind.has_scheduling_buffer())
      *kind.mutable_scheduling_buffer() = ToProto(kSchedulingBuffer);
  }
}

void CheckPolicies(Violations& out, const FieldPath& at, const v1::AutoScalingGroup* before,
                   const v1::AutoScalingGroup& value, const Observations& seen, Time now) {
  CheckCount(out, at, value.policies_size(), 0, limits::kPoliciesAnAsg);
  std::set<std::string> names;
  for (int i = 0; i < value.policies_size(); ++i) {
    const v1::ScalingPolicy& policy = value.policies(i);
    if (!IsValidId(policy.name())) {
      out.Add(at[i] / "name", absl::StrCat(Quoted(policy.name()), " ", limits::kIdRule));
    }
    if (!names.insert(policy.name()).second) {
      out.Add(at[i] / "name", absl::StrCat(Quoted(policy.name()), " is the name of two policies"));
    }
    CheckPolicy(out, at[i], policy, seen);
    const bool is_once = policy.has_scheduled() && policy.scheduled().recurrence().empty() &&
                         policy.scheduled().has_start_time();
    if (is_once && FromProto(policy.scheduled().start_time()) <= now &&
        !IsUnchanged(before, policy)) {
      out.Add(at[i] / "scheduled" / "start_time",
              absl::StrCat(MomentText(FromProto(policy.scheduled().start_time())),
                           " is past: it would never act"));
    }
  }
}

void BeginSchedules(const v1::AutoScalingGroup* before, v1::AutoScalingGroup& value, Time now) {
  auto& times = *value.mutable_capacity()->mutable_policy_times();
  std::vector<std::string> gone;
  for (const auto& [name, time] : times) {
    if (FindPolicy(&value, name) == nullptr) gone.push_back(name);
  }
  for (const std::string& name : gone) times.erase(name);
  // Bounds that no scheduled policy speaks of any more do not stay.
  const auto any = [&](bool (v1::ScheduledPolicy::*has)() const) {
    return std::any_of(value.policies().begin(), value.policies().end(), [&](const auto& policy) {
      return policy.has_scheduled() && (policy.scheduled().*has)();
    });
  };
  if (!any(&v1::ScheduledPolicy::has_min) && !any(&v1::ScheduledPolicy::has_max)) {
    value.mutable_capacity()->clear_min();
    value.mutable_capacity()->clear_max();
  }
  for (const v1::ScalingPolicy& policy : value.policies()) {
    if (policy.has_scheduled() && !IsUnchanged(before, policy)) {
      times[policy.name()] = ToProto(now);
    }
  }
}

}  // namespace remuda::core
