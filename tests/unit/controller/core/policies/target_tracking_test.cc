// Target tracking: out at once, in when less has been enough for long, and never without data.
#include "tests/unit/controller/core/policies/policies_fixture.h"

namespace remuda::core {
namespace {

using ::testing::HasSubstr;

constexpr char kRequests[] = R"(policies { name: "rps" target_tracking {
    metric: SCALING_METRIC_REQUEST_COUNT_PER_TARGET target: 100
    scale_in_after { seconds: 60 } scale_in_cooldown { seconds: 30 } scale_out_cooldown {} } })";
constexpr char kCpu[] = R"(policies { name: "cpu" target_tracking {
    metric: SCALING_METRIC_AVERAGE_CPU_UTILIZATION target: 50
    scale_in_after { seconds: 60 } scale_in_cooldown { seconds: 30 } scale_out_cooldown {} } })";

TEST(TargetTracking, AClearExcessIsAnsweredAtOnce) {
  Policies policies(kRequests);
  const auto& row = policies.Requests(900);
  EXPECT_EQ(policies.desired(), 9);
  EXPECT_EQ(row.desired_before(), 2);
  EXPECT_EQ(row.desired_after(), 9);
  EXPECT_EQ(row.policies(0).wanted(), 9);
  EXPECT_EQ(row.policies(0).value(), 450);  // an instance
  EXPECT_THAT(row.outcome(), HasSubstr("Out from 2 to 9: policy rps: requests is 450"));
}

TEST(TargetTracking, ASmallExcessIsAnsweredWhenItLasts) {
  Policies policies(kRequests, 4);
  policies.For(absl::Seconds(30), [&] { policies.Requests(380); });
  policies.Requests(470);  // chance, perhaps
  EXPECT_EQ(policies.desired(), 4);
  policies.For(absl::Seconds(30), [&] { policies.Requests(470); });
  EXPECT_EQ(policies.desired(), 5);
}

TEST(TargetTracking, WhatIsWithinTheToleranceIsLeft) {
  Policies policies(kRequests, 10);
  policies.For(absl::Seconds(600), [&] { policies.Requests(1080); });
  EXPECT_EQ(policies.desired(), 10);
  policies.For(absl::Seconds(600), [&] { policies.Requests(920); });
  EXPECT_EQ(policies.desired(), 10);
}

TEST(TargetTracking, WhatIsOnItsWayUpIsNotLaunchedTwice) {
  Policies policies(kCpu);
  policies.Cpu(100);
  EXPECT_EQ(policies.desired(), 4);
  // Two are still on their way: those in service are as busy as before.
  for (int i = 0; i < 20; ++i) policies.See({.cpu_percent = 100, .in_service = 2, .warming = 2});
  EXPECT_EQ(policies.desired(), 4);
}

TEST(TargetTracking, InOnlyAfterLessHasBeenEnoughForTheWholeTime) {
  Policies policies(kRequests, 10);
  policies.For(absl::Seconds(30), [&] { policies.Requests(750); });
  policies.For(absl::Seconds(30), [&] { policies.Requests(200); });
  EXPECT_EQ(policies.desired(), 10);
  // The largest need of the last minute counts.
  policies.Requests(200);
  EXPECT_EQ(policies.desired(), 8);
  policies.For(absl::Seconds(25), [&] { policies.Requests(200); });
  EXPECT_EQ(policies.desired(), 8);  // it cools down
  policies.For(absl::Seconds(120), [&] { policies.Requests(200); });
  EXPECT_EQ(policies.desired(), 2);
}

TEST(TargetTracking, LargeGroupsToo) {
  Policies policies(kRequests, 90);
  policies.For(absl::Seconds(300), [&] { policies.Requests(8800); });
  EXPECT_EQ(policies.desired(), 90);
  policies.For(absl::Seconds(200), [&] { policies.Requests(5000); });
  EXPECT_EQ(policies.desired(), 50);
}

TEST(TargetTracking, MissingDataNeverScalesIn) {
  Policies policies(kRequests, 10);
  policies.For(absl::Seconds(50), [&] { policies.Requests(100); });
  const auto& row = policies.See({});
  EXPECT_THAT(row.outcome(), HasSubstr("Left at 10: no proxy tells of requests"));
  EXPECT_FALSE(row.policies(0).has_value());
  policies.For(absl::Seconds(300), [&] { policies.See({}); });
  EXPECT_EQ(policies.desired(), 10);
  // What was known before the gap counts no more.
  policies.For(absl::Seconds(55), [&] { policies.Requests(100); });
  EXPECT_EQ(policies.desired(), 10);
  policies.For(absl::Seconds(15), [&] { policies.Requests(100); });
  EXPECT_EQ(policies.desired(), 1);
}

TEST(TargetTracking, AShortGapForgetsNothing) {
  Policies policies(kRequests, 10);
  policies.For(absl::Seconds(50), [&] { policies.Requests(100); });
  policies.See({});
  policies.See({});
  EXPECT_EQ(policies.desired(), 10);
  policies.Requests(100);
  EXPECT_EQ(policies.desired(), 1);
}

TEST(TargetTracking, OneThatKnowsNothingBarsAnothersScaleIn) {
  Policies policies(kRequests, kCpu, 10);
  policies.For(absl::Seconds(300), [&] { policies.Requests(100); });
  EXPECT_EQ(policies.desired(), 10);
  // With both, the larger wish holds.
  policies.For(absl::Seconds(70), [&] { policies.See({.cpu_percent = 20, .requests = 100}); });
  EXPECT_EQ(policies.desired(), 4);  // 20 % of ten is 50 % of four
}

TEST(TargetTracking, OutIfAnyWantsIt) {
  Policies policies(kRequests, kCpu, 4);
  policies.See({.cpu_percent = 90, .requests = 10});
  EXPECT_EQ(policies.desired(), 8);
}

TEST(TargetTracking, ACooldownInHoldsNoScaleOut) {
  Policies policies(kRequests, 10);
  policies.For(absl::Seconds(70), [&] { policies.Requests(450); });
  ASSERT_EQ(policies.desired(), 5);
  policies.Requests(1500);
  EXPECT_EQ(policies.desired(), 15);
}

TEST(TargetTracking, WithoutScaleInItHasNoSayInIt) {
  Policies policies(kRequests, R"(policies { name: "mem" target_tracking {
      metric: SCALING_METRIC_AVERAGE_MEMORY_UTILIZATION target: 50 disable_scale_in: true } })",
                    10);
  policies.For(absl::Seconds(90), [&] { policies.Requests(100); });
  EXPECT_EQ(policies.desired(), 1);
  policies.See({.memory_percent = 100, .requests = 100});
  EXPECT_EQ(policies.desired(), 2);
}

TEST(TargetTracking, BoundsHoldAndAreSaid) {
  Policies policies(kRequests, 2, 2, 5);
  EXPECT_THAT(policies.Requests(5000).outcome(), HasSubstr("Out from 2 to 5"));
  EXPECT_THAT(policies.Requests(5000).outcome(), HasSubstr("max is 5"));
  policies.For(absl::Seconds(120), [&] { policies.Requests(0); });
  EXPECT_EQ(policies.desired(), 2);
}

TEST(TargetTracking, NeverToZeroUnlessTheMetricIsThereAtZero) {
  Policies policies(kRequests, 2, 0);
  policies.For(absl::Seconds(120), [&] { policies.Requests(0); });
  EXPECT_EQ(policies.desired(), 1);
  Policies queue(R"(policies { name: "queue" target_tracking {
      custom_metric: "depth" is_total: true target: 10 scale_in_after { seconds: 10 } } })",
                 2, 0);
  queue.For(absl::Seconds(60), [&] { queue.See({.custom = {{"depth", 0}}}); });
  EXPECT_EQ(queue.desired(), 0);
  queue.See({.custom = {{"depth", 35}}});
  EXPECT_EQ(queue.desired(), 4);
}

TEST(TargetTracking, WhatIsLeftOfRequestsBringsNoGroupUpThatHasNone) {
  Policies policies(kRequests, 2, 0);
  policies.For(absl::Seconds(30), [&] { policies.Requests(150); });
  SetDesired(policies.group, 0, "a person", policies.now);
  policies.Requests(150);
  EXPECT_EQ(policies.desired(), 0);
  policies.For(absl::Seconds(30), [&] { policies.Requests(0); });
  EXPECT_EQ(policies.desired(), 0);
}

TEST(TargetTracking, ADisabledOneIsShownAndDoesNothing) {
  Policies policies(kRequests);
  policies.group.mutable_policies(0)->set_disabled(true);
  const auto& row = policies.Requests(900);
  EXPECT_EQ(policies.desired(), 2);
  EXPECT_EQ(row.policies(0).value(), 450);
  EXPECT_THAT(row.policies(0).reason(), HasSubstr("the policy is disabled"));
}

TEST(TargetTracking, SuspendedItIsSaid) {
  Policies policies(kRequests);
  policies.group.add_suspended_processes()->set_process(v1::SCALING_PROCESS_ALARM_NOTIFICATION);
  EXPECT_THAT(policies.Requests(900).outcome(),
              HasSubstr("Left at 2: ALARM_NOTIFICATION is suspended"));
}

TEST(TargetTracking, AClearExcessThatGrowsIsMetWhereItWillBe) {
  Policies policies(kRequests, 5);
  for (int requests = 300; requests <= 600; requests += 50) policies.Requests(requests);
  ASSERT_EQ(policies.desired(), 5);
  // 10 a second more, and 30 s to warm up.
  policies.Requests(650);
  EXPECT_EQ(policies.desired(), 10);
}

TEST(TargetTracking, WhileADeploymentIsUnderWayNothingIsTakenAway) {
  Policies policies(kCpu, 10);
  policies.is_deploying = true;
  policies.For(absl::Seconds(120), [&] { policies.Cpu(5); });
  EXPECT_EQ(policies.desired(), 10);
  // Of the stable side: ten of it would bear what these five do at half of the traffic.
  policies.See({.cpu_percent = 75, .in_service = 15, .bearing = 10});
  EXPECT_EQ(policies.desired(), 15);
}

// Others' failure: a broken version drives the capacity to the maximum.
TEST(TargetTracking, ABrokenVersionAtMostDoubles) {
  Policies policies(kCpu, kRequests, 4);
  policies.is_deploying = true;
  policies.For(absl::Seconds(120), [&] { policies.See({.cpu_percent = 100, .requests = 300}); });
  EXPECT_EQ(policies.desired(), 8);
  EXPECT_THAT(policies.seen.metrics.evaluations["web"].rows.back().policies(0).reason(),
              HasSubstr("while a deployment is under way at most 8"));
  // Requests are no version's fault.
  policies.See({.cpu_percent = 100, .requests = 2000});
  EXPECT_EQ(policies.desired(), 20);
  policies.is_deploying = false;
  policies.See({.cpu_percent = 100, .requests = 2000});
  EXPECT_EQ(policies.desired(), 40);
}

TEST(TargetTracking, EqualRowsAreKeptAsTheFirstAndTheLast) {
  Policies policies(kRequests);
  for (int i = 0; i < 50; ++i) policies.Requests(150 + i % 3);
  EXPECT_EQ(policies.seen.metrics.evaluations["web"].rows.size(), 2u);
  policies.Requests(900);
  EXPECT_EQ(policies.seen.metrics.evaluations["web"].rows.size(), 3u);
}

TEST(TargetTracking, WhatAPersonHasJustSetDoesNotRest) {
  Policies policies(kRequests, "from_zero { idle_after { seconds: 60 } wake_to: 1 }", 0, 0);
  policies.For(absl::Seconds(600), [&] { policies.See({.requests = 0, .in_flight = 0}); });
  SetDesired(policies.group, 3, "before an event", policies.now);
  policies.For(absl::Seconds(55), [&] { policies.See({.requests = 0, .in_flight = 0}); });
  EXPECT_GT(policies.desired(), 0);
}

TEST(TargetTracking, NothingRestsWhileNothingIsKnown) {
  Policies policies(kRequests, "from_zero { idle_after { seconds: 60 } wake_to: 1 }", 2, 0);
  policies.For(absl::Seconds(600), [&] { policies.See({}); });
  EXPECT_EQ(policies.desired(), 2);
}

TEST(TargetTracking, NumbersBeyondReasonDoNoHarm) {
  Policies policies(R"(policies { name: "queue" target_tracking {
      custom_metric: "depth" target: 1e-6 scale_in_after { seconds: 10 } } })",
                    2);
  for (const double depth : {1e15, -1e15, 1e15, 0.0}) policies.See({.custom = {{"depth", depth}}});
  EXPECT_GE(policies.desired(), 1);
  EXPECT_LE(policies.desired(), 100);
}

TEST(TargetTracking, RestsAtZeroOnlyWithoutRequestsForTheTime) {
  Policies policies(kRequests, "from_zero { idle_after { seconds: 60 } wake_to: 1 }", 1, 0);
  policies.For(absl::Seconds(55), [&] { policies.See({.requests = 0, .in_flight = 0}); });
  EXPECT_EQ(policies.desired(), 1);
  // One that is still under way is no rest.
  policies.For(absl::Seconds(30), [&] { policies.See({.requests = 0, .in_flight = 1}); });
  EXPECT_EQ(policies.desired(), 1);
  policies.See({.requests = 0, .in_flight = 0});
  EXPECT_EQ(policies.desired(), 0);
  EXPECT_EQ(policies.group.capacity().set_by(), "from-zero");
}

}  // namespace
}  // namespace remuda::core
