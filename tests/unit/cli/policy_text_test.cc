#include "cli/policy_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/message_yaml.h"
#include "remuda/v1/auto_scaling.pb.h"

namespace remuda::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::ScalingPolicy Policy(const std::string& yaml) {
  v1::ScalingPolicy policy;
  const absl::Status status = ParseMessageYaml(yaml, "policy.yaml", &policy);
  EXPECT_TRUE(status.ok()) << status;
  return policy;
}

TEST(PolicyText, EachKindSaysWhatItDoes) {
  struct Case {
    const char* yaml;
    const char* kind;
    const char* metric;
    const char* rule;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"targetTracking: {metric: REQUEST_COUNT_PER_TARGET, target: 100}", "target-tracking",
            "REQUEST_COUNT_PER_TARGET", "keep 100"},
           {"targetTracking: {customMetric: queue-depth, isTotal: true, target: 0.5, scaleInAfter: "
            "5m}",
            "target-tracking", "custom/queue-depth (total)", "keep 0.5, in after 300s"},
           {"targetTracking: {prometheus: {url: 'http://127.0.0.1:9090', query: 'sum(up)'}, "
            "target: 1, disableScaleIn: true}",
            "target-tracking", "sum(up)", "keep 1, never in"},
           {"stepScaling: {alarm: {metric: AVERAGE_CPU_UTILIZATION, threshold: 80, breachedFor: "
            "1m}, adjustmentType: CHANGE_IN_CAPACITY, steps: [{upperBound: 10, adjustment: 1}, "
            "{lowerBound: 10, adjustment: 3}]}",
            "step", "AVERAGE_CPU_UTILIZATION", "at 80 or above for 60s: 0..10 +1, 10.. +3"},
           {"stepScaling: {alarm: {metric: AVERAGE_CPU_UTILIZATION, threshold: 20, comparison: "
            "BELOW}, adjustmentType: PERCENT_CHANGE_IN_CAPACITY, steps: [{adjustment: -10}]}",
            "step", "AVERAGE_CPU_UTILIZATION", "at 20 or below: 0.. -10%"},
           {"simpleScaling: {alarm: {customMetric: jobs, threshold: 5}, adjustmentType: "
            "EXACT_CAPACITY, adjustment: 4, cooldown: 60s}",
            "simple", "custom/jobs", "at 5 or above: =4, then nothing for 60s"},
           {"scheduled: {recurrence: '0 8 * * 1-5', timeZone: Europe/Berlin, min: 2, desired: 4}",
            "scheduled", "-", "0 8 * * 1-5 Europe/Berlin: min 2, desired 4"},
           {"scheduled: {startTime: 2026-12-24T18:00:00Z, max: 0}", "scheduled", "-",
            "once, 2026-12-24T18:00:00Z: max 0"},
           {"predictive: {metric: IN_FLIGHT_PER_TARGET, target: 8, mode: FORECAST_ONLY}",
            "predictive", "IN_FLIGHT_PER_TARGET", "shows what would keep 8"},
           {"predictive: {metric: IN_FLIGHT_PER_TARGET, target: 8, mode: FORECAST_AND_SCALE, "
            "schedulingBuffer: 5m}",
            "predictive", "IN_FLIGHT_PER_TARGET", "at least what keeps 8, 300s ahead"},
           {"disabled: true", "-", "-", "-"}}) {
    const v1::ScalingPolicy policy = Policy(c.yaml);
    EXPECT_EQ(PolicyKindText(policy), c.kind) << c.yaml;
    EXPECT_EQ(PolicyMetricText(policy), c.metric) << c.yaml;
    EXPECT_EQ(PolicyRuleText(policy), c.rule) << c.yaml;
  }
}

v1::ScalingEvaluation Evaluation() {
  v1::ScalingEvaluation evaluation;
  evaluation.mutable_time()->set_seconds(1'764'000'000);
  evaluation.set_desired_before(2);
  evaluation.set_desired_after(4);
  evaluation.set_in_service(2);
  evaluation.set_outcome("out: rps wants 4");
  auto& rps = *evaluation.add_policies();
  rps.set_policy("rps");
  rps.set_metric("requests");
  rps.set_value(340);
  rps.set_target(100);
  rps.set_wanted(4);
  rps.set_reason("340 are 3.4 times 100");
  auto& cpu = *evaluation.add_policies();
  cpu.set_policy("cpu");
  cpu.set_metric("cpu");
  cpu.set_target(60);
  cpu.set_reason("missing");
  auto& night = *evaluation.add_policies();
  night.set_policy("night");
  night.set_wanted(1);
  return evaluation;
}

TEST(PolicyText, AnEvaluationHasEachPolicysValueTargetAndWish) {
  std::vector<std::string> row = EvaluationsTable({Evaluation()}, true).rows[0];
  row.erase(row.begin());  // in the local zone
  EXPECT_THAT(row, ElementsAre("2 -> 4", "2", "rps 340/100 -> 4; cpu -/60; night -> 1",
                               "out: rps wants 4", "rps: 340 are 3.4 times 100; cpu: missing"));
  v1::ScalingEvaluation idle = Evaluation();
  idle.set_desired_after(2);
  idle.set_warming(1);
  row = EvaluationsTable({idle}, false).rows[0];
  EXPECT_EQ(row.size(), 5u);
  EXPECT_EQ(row[1], "2");
  EXPECT_EQ(row[2], "2 (1 warming)");
}

TEST(PolicyText, AForecastSaysHowFarOffItWas) {
  v1::PredictiveForecast forecast;
  EXPECT_EQ(ForecastNote(forecast), "");
  forecast.set_error_percent(8.24);
  EXPECT_EQ(ForecastNote(forecast), "forecasts were off by 8.24% of the mean load");
  forecast.set_baseline_error_percent(12);
  EXPECT_THAT(ForecastNote(forecast), HasSubstr("mean load; last week's value by 12%"));
  auto& point = *forecast.add_points();
  point.set_load(1200);
  point.set_capacity(12);
  EXPECT_THAT(ForecastTable(forecast).rows[0], ElementsAre("-", "1200", "12"));
  forecast.set_policy("daily");
  forecast.set_missing("6h of history, 24h are needed");
  EXPECT_EQ(ForecastNote(forecast), "daily foresees nothing: 6h of history, 24h are needed");
}

TEST(PolicyText, PoliciesAreATable) {
  v1::AutoScalingGroup group;
  *group.add_policies() =
      Policy("{name: rps, targetTracking: {metric: REQUEST_COUNT_PER_TARGET, target: 100}}");
  *group.add_policies() = Policy("{name: night, scheduled: {recurrence: 0 20 * * *, max: 2}}");
  group.mutable_policies(1)->set_disabled(true);
  EXPECT_EQ(RenderTable(PoliciesTable(group.policies())),
            "NAME   KIND             ENABLED  METRIC                    RULE\n"
            "rps    target-tracking  yes      REQUEST_COUNT_PER_TARGET  keep 100\n"
            "night  scheduled        no       -                         0 20 * * *: max 2\n");
}

}  // namespace
}  // namespace remuda::cli
