// Step and simple scaling.
#include "controller/core/policies/stepped.h"

#include "tests/unit/controller/core/policies/policies_fixture.h"

namespace remuda::core {
namespace {

using ::testing::HasSubstr;

constexpr char kSteps[] = R"(policies { name: "steps" step_scaling {
    alarm { metric: SCALING_METRIC_AVERAGE_CPU_UTILIZATION threshold: 60 comparison: COMPARISON_ABOVE
            breached_for {} }
    adjustment_type: ADJUSTMENT_TYPE_CHANGE_IN_CAPACITY
    steps { upper_bound: 20 adjustment: 1 } steps { lower_bound: 20 adjustment: 3 } } })";
constexpr char kDown[] = R"(policies { name: "down" step_scaling {
    alarm { metric: SCALING_METRIC_AVERAGE_CPU_UTILIZATION threshold: 20 comparison: COMPARISON_BELOW
            breached_for { seconds: 20 } }
    adjustment_type: ADJUSTMENT_TYPE_CHANGE_IN_CAPACITY steps { adjustment: -1 } } })";
constexpr char kSimple[] = R"(policies { name: "simple" simple_scaling {
    alarm { metric: SCALING_METRIC_AVERAGE_CPU_UTILIZATION threshold: 60 comparison: COMPARISON_ABOVE
            breached_for {} }
    adjustment_type: ADJUSTMENT_TYPE_CHANGE_IN_CAPACITY adjustment: 2
    cooldown { seconds: 60 } } })";

TEST(Adjusted, AsAwsRounds) {
  const auto kPercent = v1::ADJUSTMENT_TYPE_PERCENT_CHANGE_IN_CAPACITY;
  EXPECT_EQ(Adjusted(10, v1::ADJUSTMENT_TYPE_CHANGE_IN_CAPACITY, -3, 0), 7);
  EXPECT_EQ(Adjusted(2, v1::ADJUSTMENT_TYPE_CHANGE_IN_CAPACITY, -3, 0), 0);
  EXPECT_EQ(Adjusted(10, v1::ADJUSTMENT_TYPE_EXACT_CAPACITY, 4, 0), 4);
  EXPECT_EQ(Adjusted(10, kPercent, 27, 0), 12);  // 2.7
  EXPECT_EQ(Adjusted(10, kPercent, -27, 0), 8);  // -2.7
  EXPECT_EQ(Adjusted(3, kPercent, 10, 0), 4);    // 0.3
  EXPECT_EQ(Adjusted(3, kPercent, -10, 0), 2);   // -0.3
  EXPECT_EQ(Adjusted(10, kPercent, 10, 4), 14);  // at least 4
  EXPECT_EQ(Adjusted(10, kPercent, -10, 4), 6);
  EXPECT_EQ(Adjusted(900, v1::ADJUSTMENT_TYPE_CHANGE_IN_CAPACITY, 500, 0), 1000);
}

TEST(StepScaling, TheStepIsChosenByHowFarItIsBeyond) {
  Policies policies(kSteps, 4);
  policies.Cpu(59);
  EXPECT_EQ(policies.desired(), 4);
  policies.Cpu(70);
  EXPECT_EQ(policies.desired(), 5);
  Policies far(kSteps, 4);
  far.Cpu(85);
  EXPECT_EQ(far.desired(), 7);
}

TEST(StepScaling, OneBreachIsAnsweredOnceAndALargerStepGoesBeyondIt) {
  Policies policies(kSteps, 4);
  policies.Cpu(70);
  // The fifth is on its way: the breach goes on.
  for (int i = 0; i < 5; ++i) policies.See({.cpu_percent = 70, .in_service = 4, .warming = 1});
  EXPECT_EQ(policies.desired(), 5);
  policies.See({.cpu_percent = 90, .in_service = 4, .warming = 1});
  EXPECT_EQ(policies.desired(), 7);  // four and three
}

TEST(StepScaling, InOneByOneAfterTheAlarmHasLastedAgain) {
  Policies policies(kDown, 6);
  policies.For(absl::Seconds(20), [&] { policies.Cpu(10); });
  EXPECT_EQ(policies.desired(), 6);
  policies.Cpu(10);
  EXPECT_EQ(policies.desired(), 5);
  policies.For(absl::Seconds(25), [&] { policies.Cpu(10); });
  EXPECT_EQ(policies.desired(), 5);
  policies.For(absl::Seconds(10), [&] { policies.Cpu(10); });
  EXPECT_EQ(policies.desired(), 4);
}

TEST(StepScaling, MissingDataIsABreakOfTheBreach) {
  Policies policies(kDown, 6);
  policies.For(absl::Seconds(15), [&] { policies.Cpu(10); });
  policies.See({});
  policies.For(absl::Seconds(15), [&] { policies.Cpu(10); });
  EXPECT_EQ(policies.desired(), 6);
}

TEST(StepScaling, OneThatKnowsNothingBarsAnothersScaleIn) {
  Policies policies(kSteps, R"(policies { name: "rps" target_tracking {
      metric: SCALING_METRIC_REQUEST_COUNT_PER_TARGET target: 100 scale_in_after { seconds: 20 } } })",
                    6);
  policies.For(absl::Seconds(60), [&] { policies.Requests(100); });
  EXPECT_EQ(policies.desired(), 6);
  policies.For(absl::Seconds(60), [&] { policies.See({.cpu_percent = 10, .requests = 100}); });
  EXPECT_EQ(policies.desired(), 1);
}

TEST(StepScaling, OneThatWantsNothingLeavesItToOthers) {
  Policies policies(kSteps, kDown, 6);
  policies.For(absl::Seconds(30), [&] { policies.Cpu(10); });
  EXPECT_EQ(policies.desired(), 5);
}

TEST(SimpleScaling, ThenItsCooldown) {
  Policies policies(kSimple, 2);
  policies.Cpu(90);
  EXPECT_EQ(policies.desired(), 4);
  policies.For(absl::Seconds(55), [&] { policies.Cpu(90); });
  EXPECT_EQ(policies.desired(), 4);
  EXPECT_THAT(policies.Cpu(90).outcome(), HasSubstr("breached"));
  EXPECT_EQ(policies.desired(), 6);
}

// Others' failure: one cooldown for both directions that blocks everything.
TEST(SimpleScaling, ItsCooldownBlocksNoOtherPolicy) {
  Policies policies(kSimple, R"(policies { name: "rps" target_tracking {
      metric: SCALING_METRIC_REQUEST_COUNT_PER_TARGET target: 100 scale_in_after { seconds: 60 } } })",
                    2);
  policies.See({.cpu_percent = 90, .requests = 100});
  ASSERT_EQ(policies.desired(), 4);
  policies.See({.cpu_percent = 90, .requests = 1000});
  EXPECT_EQ(policies.desired(), 10);
}

}  // namespace
}  // namespace remuda::core
