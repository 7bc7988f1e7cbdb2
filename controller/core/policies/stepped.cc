#include "controller/core/policies/stepped.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

#include "controller/core/model/limits.h"
#include "controller/core/model/words.h"
#include "controller/core/policies/reading.h"

namespace remuda::core {
namespace {

// How the alarm is now; `verdict` has what a person reads of it.
struct Alarm {
  Verdict verdict;
  bool is_breached = false;  // for as long as it has to be
  double beyond = 0;         // the newest value, from the threshold on
};

Alarm Look(const Inputs& inputs, const std::string& name, const v1::ScalingAlarm& alarm,
           PolicyMemory& memory) {
  const MetricRef ref = RefOf(name, alarm);
  const Reading reading = ReadAt(inputs.newest(), ref);
  Alarm out;
  out.verdict = {.metric = NameOf(ref), .value = reading.each, .target = alarm.threshold()};
  out.verdict.hangs_on_version = HangsOnVersion(ref);
  if (!reading.each.has_value()) {
    memory.breached_since.reset();
    out.verdict.bars_scale_in = true;
    out.verdict.reason = absl::StrCat(reading.missing, ": nothing is changed");
    return out;
  }
  const bool is_above = alarm.comparison() != v1::ScalingAlarm::COMPARISON_BELOW;
  out.beyond = is_above ? *reading.each - alarm.threshold() : alarm.threshold() - *reading.each;
  const std::string facts =
      absl::StrCat(out.verdict.metric, " is ", NumberText(*reading.each), " an instance, ",
                   is_above ? "threshold " : "lower threshold ", NumberText(alarm.threshold()));
  if (out.beyond < 0) {
    memory.breached_since.reset();
    out.verdict.reason = absl::StrCat(facts, ": not breached");
    return out;
  }
  if (!memory.breached_since) memory.breached_since = inputs.now;
  const Duration breached_for = FromProto(alarm.breached_for());
  const Duration since = inputs.now - *memory.breached_since;
  out.is_breached = since >= breached_for;
  out.verdict.reason = out.is_breached ? absl::StrCat(facts, ": breached")
                                       : absl::StrCat(facts, ": breached for ", DurationText(since),
                                                      " of ", DurationText(breached_for));
  return out;
}

// The adjustment for a value so far beyond the threshold; null: no step is for it.
const v1::StepAdjustment* StepFor(const v1::StepScalingPolicy& policy, double beyond) {
  for (const v1::StepAdjustment& step : policy.steps()) {
    if (beyond >= step.lower_bound() && (!step.has_upper_bound() || beyond < step.upper_bound())) {
      return &step;
    }
  }
  return nullptr;
}

// Whether an adjustment is of more instances. An exact number is if it is above what there is.
bool IsOut(const Inputs& inputs, v1::AdjustmentType type, int adjustment) {
  if (type == v1::ADJUSTMENT_TYPE_EXACT_CAPACITY) return adjustment > inputs.desired();
  return adjustment > 0;
}

// Less is never taken away while a deployment is under way: what its instances bear is not known.
bool BarIn(const Inputs& inputs, Verdict& verdict) {
  if (!inputs.is_deploying) return false;
  absl::StrAppend(&verdict.reason, "; a deployment is under way");
  return true;
}

}  // namespace

int Adjusted(int capacity, v1::AdjustmentType type, int adjustment, int min_adjustment) {
  int64_t out = capacity;
  if (type == v1::ADJUSTMENT_TYPE_EXACT_CAPACITY) {
    out = adjustment;
  } else if (type == v1::ADJUSTMENT_TYPE_PERCENT_CHANGE_IN_CAPACITY) {
    const double change = static_cast<double>(capacity) * adjustment / 100;
    // As AWS rounds: towards 0 above 1, away from it below.
    int64_t whole = static_cast<int64_t>(std::trunc(change));
    if (whole == 0 && adjustment != 0) whole = adjustment > 0 ? 1 : -1;
    if (std::abs(whole) < min_adjustment) whole = adjustment > 0 ? min_adjustment : -min_adjustment;
    out += whole;
  } else {
    out += adjustment;
  }
  return static_cast<int>(std::clamp<int64_t>(out, 0, limits::kGroupInstances));
}

Verdict FollowSteps(const Inputs& inputs, const std::string& name,
                    const v1::StepScalingPolicy& policy, PolicyMemory& memory) {
  Alarm alarm = Look(inputs, name, policy.alarm(), memory);
  Verdict& out = alarm.verdict;
  if (!alarm.is_breached) return out;
  const v1::StepAdjustment* step = StepFor(policy, alarm.beyond);
  if (step == nullptr) {
    absl::StrAppend(&out.reason, "; no step is for it");
    return out;
  }
  const int desired = inputs.desired();
  const Time rested =
      LastActed(inputs.group, name) +
      std::max(FromProto(policy.alarm().breached_for()), FromProto(inputs.group.instance_warmup()));
  if (IsOut(inputs, policy.adjustment_type(), step->adjustment())) {
    // What is on its way up counts as capacity, and as none of what the step adds to. Beside a
    // deployment's own launches it cannot be told: then a step waits for the one before.
    if (inputs.is_deploying && inputs.now < rested) {
      absl::StrAppend(&out.reason, "; what was added last is not warm yet");
      out.wanted = desired;
      return out;
    }
    const int base = inputs.is_deploying ? desired : std::max(0, desired - inputs.newest().warming);
    const int to =
        Adjusted(base, policy.adjustment_type(), step->adjustment(), policy.min_adjustment());
    if (to <= desired && base < desired) {
      absl::StrAppend(&out.reason, "; ", Counted(desired - base, "instance"), " ",
                      IsOrAre(desired - base), " on the way for it");
    }
    out.wanted = std::max(desired, to);
    return out;
  }
  out.wanted = desired;
  if (BarIn(inputs, out)) return out;
  if (inputs.now < rested) {
    absl::StrAppend(&out.reason, "; the next step in is taken in ",
                    DurationText(rested - inputs.now), " at the soonest");
    return out;
  }
  const int to =
      Adjusted(desired, policy.adjustment_type(), step->adjustment(), policy.min_adjustment());
  out.wanted = std::min(desired, std::max(1, to));
  return out;
}

Verdict FollowSimple(const Inputs& inputs, const std::string& name,
                     const v1::SimpleScalingPolicy& policy, PolicyMemory& memory) {
  Alarm alarm = Look(inputs, name, policy.alarm(), memory);
  Verdict& out = alarm.verdict;
  if (!alarm.is_breached) return out;
  const int desired = inputs.desired();
  const Time cooled = LastActed(inputs.group, name) + FromProto(policy.cooldown());
  if (inputs.now < cooled) {
    absl::StrAppend(&out.reason, "; cooling down for another ", DurationText(cooled - inputs.now));
    // In its cooldown it has no wish: another policy may scale out.
    out.bars_scale_in = IsOut(inputs, policy.adjustment_type(), policy.adjustment());
    return out;
  }
  const bool is_out = IsOut(inputs, policy.adjustment_type(), policy.adjustment());
  if (!is_out && BarIn(inputs, out)) {
    out.wanted = desired;
    return out;
  }
  const int to =
      Adjusted(desired, policy.adjustment_type(), policy.adjustment(), policy.min_adjustment());
  out.wanted = is_out ? to : std::max(1, to);
  return out;
}

}  // namespace remuda::core
