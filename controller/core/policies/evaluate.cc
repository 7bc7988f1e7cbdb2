#include "controller/core/policies/evaluate.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "controller/core/model/deployment_row.h"
#include "controller/core/model/words.h"
#include "controller/core/policies/forecast.h"
#include "controller/core/policies/reading.h"
#include "controller/core/policies/stepped.h"
#include "controller/core/policies/target_tracking.h"
#include "controller/core/policies/verdict.h"

namespace remuda::core {
namespace {

// A group rests at no instance only this long after the last request for it.
bool IsIdle(const Inputs& inputs) {
  if (!inputs.group.has_from_zero()) return false;
  const MetricPoint& point = inputs.newest();
  // What is not known may well be traffic.
  if (!point.requests.has_value() || !point.in_flight.has_value()) return false;
  if (*point.in_flight > 0 || point.queued.value_or(0) > 0) return false;
  // Nor where somebody has just set how many there are to be: they are for what is to come.
  const Time set = inputs.group.has_capacity() ? FromProto(inputs.group.capacity().set_time())
                                               : absl::InfinitePast();
  const Time last = std::max(inputs.history.last_request, set);
  return inputs.now >= last + FromProto(inputs.group.from_zero().idle_after());
}

// Whether the policy may bring a group up that has none. What is left of requests from before
// does not: one that a person has emptied stays so, and one at rest is woken by requests that wait.
bool SpeaksAtZero(const v1::ScalingPolicy& policy) {
  const std::string& name = policy.name();
  switch (policy.kind_case()) {
    case v1::ScalingPolicy::kTargetTracking:
      return SpeaksAtZero(RefOf(name, policy.target_tracking()));
    case v1::ScalingPolicy::kStepScaling:
      return SpeaksAtZero(RefOf(name, policy.step_scaling().alarm()));
    case v1::ScalingPolicy::kSimpleScaling:
      return SpeaksAtZero(RefOf(name, policy.simple_scaling().alarm()));
    default:
      return true;
  }
}

struct Policies {
  std::vector<std::pair<const v1::ScalingPolicy*, Verdict>> verdicts;
};

PolicyMemory& MemoryOf(Evaluations& kept, const v1::ScalingPolicy& policy) {
  PolicyMemory& memory = kept.memories[policy.name()];
  std::string text = policy.SerializeAsString();
  if (memory.policy != text) memory = {.policy = std::move(text)};
  return memory;
}

// While a deployment is under way what hangs on the version may at most double what there was when
// it began: a bad version does not drive the group to its maximum.
void BoundByDeployment(const Inputs& inputs, Evaluations& kept, Verdict& verdict) {
  if (!inputs.is_deploying) return kept.before_deployment.reset();
  if (!kept.before_deployment) kept.before_deployment = inputs.desired();
  const int most = std::max(inputs.desired(), 2 * *kept.before_deployment);
  if (!verdict.hangs_on_version || verdict.wanted.value_or(0) <= most) return;
  verdict.wanted = most;
  absl::StrAppend(&verdict.reason, "; while a deployment is under way at most ", most,
                  ", twice what there was before it");
}

// What a forecast says; if it is only shown, without a wish.
Verdict Foresee(const Inputs& inputs, const v1::ScalingPolicy& policy) {
  const v1::PredictivePolicy& kind = policy.predictive();
  Verdict out{.metric = NameOf({.metric = kind.metric()}), .target = kind.target()};
  const auto* row =
      inputs.state.Find<store::v1::LoadHistory>(LoadHistoryKey(inputs.id, kind.metric()));
  const auto floor = ForecastFloor(row == nullptr ? nullptr : row->value.get(), kind, inputs.now);
  if (!floor.has_value()) {
    out.reason = "there is no forecast yet: it needs a day of history";
    return out;
  }
  out.reason = absl::StrCat("the forecast is of load for ", *floor);
  if (kind.mode() == v1::PredictivePolicy::MODE_FORECAST_AND_SCALE) {
    out.floor = floor;
  } else {
    absl::StrAppend(&out.reason, "; it is only shown");
  }
  return out;
}

// The verdicts of those policies that go by metrics.
Policies Ask(const Inputs& inputs, Evaluations& kept) {
  Policies out;
  for (const v1::ScalingPolicy& policy : inputs.group.policies()) {
    Verdict verdict;
    PolicyMemory& memory = MemoryOf(kept, policy);
    switch (policy.kind_case()) {
      case v1::ScalingPolicy::kTargetTracking:
        verdict = FollowTarget(inputs, policy.name(), policy.target_tracking(), memory);
        break;
      case v1::ScalingPolicy::kStepScaling:
        verdict = FollowSteps(inputs, policy.name(), policy.step_scaling(), memory);
        break;
      case v1::ScalingPolicy::kSimpleScaling:
        verdict = FollowSimple(inputs, policy.name(), policy.simple_scaling(), memory);
        break;
      case v1::ScalingPolicy::kPredictive:
        verdict = Foresee(inputs, policy);
        break;
      default:
        continue;
    }
    BoundByDeployment(inputs, kept, verdict);
    if (inputs.desired() == 0 && !SpeaksAtZero(policy)) {
      absl::StrAppend(&verdict.reason, "; there is no instance, and it wakes no group");
      verdict.wanted.reset();
    }
    if (policy.disabled()) {
      absl::StrAppend(&verdict.reason, "; the policy is disabled");
      verdict.wanted.reset();
      verdict.floor.reset();
      verdict.bars_scale_in = false;
    }
    out.verdicts.emplace_back(&policy, std::move(verdict));
  }
  std::erase_if(kept.memories, [&](const auto& entry) {
    return std::none_of(inputs.group.policies().begin(), inputs.group.policies().end(),
                        [&](const auto& policy) { return policy.name() == entry.first; });
  });
  return out;
}

struct Choice {
  int desired = 0;
  std::string policy = {};
  std::string why = {};
};

// Out if any wants it, in only if all that have a wish agree; the largest wins.
Choice Choose(const Inputs& inputs, const Policies& asked) {
  const int before = inputs.desired();
  Choice choice{.desired = before, .why = "no policy wants another number"};
  bool is_barred = false;
  const Verdict* largest = nullptr;
  for (const auto& [policy, verdict] : asked.verdicts) {
    is_barred = is_barred || verdict.bars_scale_in;
    if (!verdict.wanted.has_value()) continue;
    if (largest != nullptr && *verdict.wanted <= *largest->wanted) continue;
    largest = &verdict;
    choice.policy = policy->name();
  }
  if (largest == nullptr) {
    if (asked.verdicts.size() == 1) choice.why = asked.verdicts.front().second.reason;
    choice.policy.clear();
    return choice;
  }
  choice.why = absl::StrCat("policy ", choice.policy, ": ", largest->reason);
  choice.desired = *largest->wanted;
  if (choice.desired < before && is_barred) {
    choice.desired = before;
    for (const auto& [policy, verdict] : asked.verdicts) {
      if (!verdict.bars_scale_in) continue;
      choice.why = absl::StrCat("policy ", policy->name(), ": ", verdict.reason);
    }
  }
  return choice;
}

// A forecast is a floor under what the others want.
void RaiseToFloors(const Policies& asked, Choice& choice) {
  for (const auto& [policy, verdict] : asked.verdicts) {
    if (!verdict.floor.has_value() || choice.desired >= *verdict.floor) continue;
    choice = {.desired = *verdict.floor,
              .policy = policy->name(),
              .why = absl::StrCat("policy ", policy->name(), ": ", verdict.reason)};
  }
}

// "2 to 4: ...", or why nothing is changed.
std::string OutcomeText(const Inputs& inputs, const Choice& choice, int wished) {
  const int before = inputs.desired();
  if (choice.desired == before) {
    std::string bound;
    if (wished > before) bound = absl::StrCat("; max is ", MaxOf(inputs.group));
    if (wished < before) bound = absl::StrCat("; min is ", MinOf(inputs.group));
    return absl::StrCat("Left at ", before, ": ", choice.why, bound);
  }
  return absl::StrCat(choice.desired > before ? "Out from " : "In from ", before, " to ",
                      choice.desired, ": ", choice.why);
}

// Whether the rows say the same but for their times and values: only the first and the last of such
// are kept.
bool IsRepeated(const v1::ScalingEvaluation& a, const v1::ScalingEvaluation& b) {
  if (a.desired_before() != b.desired_before() || a.desired_after() != b.desired_after() ||
      a.desired_before() != a.desired_after() || a.in_service() != b.in_service() ||
      a.warming() != b.warming() || a.policies_size() != b.policies_size()) {
    return false;
  }
  for (int i = 0; i < a.policies_size(); ++i) {
    const auto& x = a.policies(i);
    const auto& y = b.policies(i);
    if (x.policy() != y.policy() || x.has_value() != y.has_value() || x.wanted() != y.wanted() ||
        x.has_wanted() != y.has_wanted()) {
      return false;
    }
  }
  return true;
}

void Keep(Evaluations& kept, v1::ScalingEvaluation row) {
  const size_t size = kept.rows.size();
  if (size >= 2 && IsRepeated(kept.rows[size - 2], kept.rows[size - 1]) &&
      IsRepeated(kept.rows[size - 1], row)) {
    kept.rows.back() = std::move(row);
    return;
  }
  kept.rows.push_back(std::move(row));
  if (kept.rows.size() > Evaluations::kKept) kept.rows.pop_front();
}

void Evaluate(const Inputs& inputs, Evaluations& kept) {
  const Policies asked = Ask(inputs, kept);
  Choice choice = Choose(inputs, asked);
  const bool is_idle = IsIdle(inputs);
  if (is_idle && choice.desired <= std::max(1, inputs.desired())) {
    choice.desired = 0;
    choice.policy = "from-zero";
    choice.why = absl::StrCat("no request has come for ",
                              DurationText(FromProto(inputs.group.from_zero().idle_after())));
  }
  RaiseToFloors(asked, choice);
  if (IsSuspended(inputs.group, v1::SCALING_PROCESS_ALARM_NOTIFICATION) &&
      choice.desired != inputs.desired()) {
    choice.why = absl::StrCat("ALARM_NOTIFICATION is suspended; ", choice.why);
    choice.desired = inputs.desired();
  }
  const int wished = choice.desired;
  choice.desired = std::max(MinOf(inputs.group), std::min(MaxOf(inputs.group), choice.desired));

  v1::ScalingEvaluation row;
  *row.mutable_time() = ToProto(inputs.now);
  row.set_desired_before(inputs.desired());
  row.set_desired_after(choice.desired);
  row.set_in_service(inputs.newest().in_service);
  row.set_warming(inputs.newest().warming);
  row.set_outcome(OutcomeText(inputs, choice, wished));
  for (const auto& [policy, verdict] : asked.verdicts) {
    v1::PolicyEvaluation& told = *row.add_policies();
    told.set_policy(policy->name());
    told.set_metric(verdict.metric);
    if (verdict.value.has_value()) told.set_value(*verdict.value);
    if (verdict.target.has_value()) told.set_target(*verdict.target);
    if (verdict.wanted.has_value()) told.set_wanted(*verdict.wanted);
    told.set_reason(verdict.reason);
  }
  kept.wanted.reset();
  if (choice.desired != inputs.desired()) kept.wanted = choice.desired;
  kept.policy = choice.policy;
  kept.why = choice.why;
  kept.time = inputs.now;
  Keep(kept, std::move(row));
}

bool GoesByMetrics(const v1::AutoScalingGroup& group) {
  if (group.has_from_zero()) return true;
  return std::any_of(group.policies().begin(), group.policies().end(),
                     [](const v1::ScalingPolicy& policy) {
                       return policy.has_target_tracking() || policy.has_step_scaling() ||
                              policy.has_simple_scaling() || policy.has_predictive();
                     });
}

// Groups with a deployment that has not ended.
std::set<std::string_view> Deploying(const State& state) {
  std::set<std::string_view> out;
  for (const auto& [id, row] : state.All<v1::Deployment>()) {
    const Stage stage = StageOf(*row);
    // One whose old instances only drain has moved all that it moves.
    if (!HasEnded(stage) && stage != Stage::kDraining) out.insert(row->auto_scaling_group());
  }
  return out;
}

}  // namespace

Duration DecisionHolds(Duration period) { return 3 * period; }

std::set<std::string> EvaluateGroups(const State& state, Observations& seen, Time now) {
  std::set<std::string> decided;
  GroupMetrics& metrics = seen.metrics;
  std::erase_if(metrics.evaluations, [&](const auto& entry) {
    return state.Find<v1::AutoScalingGroup>(entry.first) == nullptr;
  });
  const std::set<std::string_view> deploying = Deploying(state);
  for (const auto& [id, row] : state.All<v1::AutoScalingGroup>()) {
    const auto history = metrics.histories.find(id);
    if (row->deleting() || !GoesByMetrics(*row) || history == metrics.histories.end() ||
        history->second.points.empty()) {
      continue;
    }
    Evaluations& kept = metrics.evaluations[id];
    const Time newest = history->second.points.back().time;
    if (newest == kept.point) continue;
    kept.point = newest;
    Evaluate({.state = state,
              .id = id,
              .group = *row,
              .history = history->second,
              .period = metrics.period,
              .is_deploying = deploying.contains(id),
              .now = now},
             kept);
    if (kept.wanted.has_value()) decided.insert(id);
  }
  return decided;
}

}  // namespace remuda::core
