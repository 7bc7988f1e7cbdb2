// What policies decide becomes the group's capacity: by evaluation, by the clock, by requests that
// wait; and a person's word stands apart.
#include <absl/time/time.h>

#include "controller/core/model/capacity.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/reconcile/pass.h"
#include "controller/core/scaling/follow_policies.h"
#include "tests/unit/controller/core/world.h"

namespace remuda::core {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

std::optional<absl::TimeZone> FindZone(std::string_view name) {
  absl::TimeZone zone;
  if (!absl::LoadTimeZone(std::string(name), &zone)) return std::nullopt;
  return zone;
}

class PoliciesFollow : public ::testing::Test {
 protected:
  void SetUp() override {
    world.seen.find_zone = FindZone;
    world.Host("h1", "a");
    world.Proxy("p1");
    world.Balanced("tg");
    world.Template("shop", 1, 0);
    world.Group("blue", 1, 10, 2, [](auto& row) {
      row.add_target_groups("tg");
      SetDesired(row, 2, "a person set it", absl::FromUnixSeconds(1));
    });
    world.Settle();
  }

  void Decide(int wanted) {
    Evaluations& kept = world.seen.metrics.evaluations["blue"];
    kept.wanted = wanted;
    kept.policy = "rps";
    kept.why = "policy rps: it is busy";
    kept.time = world.now;
  }
  v1::AutoScalingGroup group() const { return world.Get<v1::AutoScalingGroup>("blue"); }
  int desired() const { return DesiredOf(group()); }
  void Schedule(const std::function<void(v1::ScheduledPolicy&)>& edit) {
    world.Edit<v1::AutoScalingGroup>("blue", [&](auto& row) {
      auto& policy = *row.add_policies();
      policy.set_name("nightly");
      policy.mutable_scheduled()->set_time_zone("UTC");
      edit(*policy.mutable_scheduled());
      (*row.mutable_capacity()->mutable_policy_times())["nightly"] = ToProto(world.now);
    });
  }

  World world;
};

TEST_F(PoliciesFollow, ADecisionIsMadeSoOnceWithItsCause) {
  Decide(4);
  world.Step();
  EXPECT_EQ(desired(), 4);
  EXPECT_EQ(group().desired(), 2);  // what a person wrote
  EXPECT_EQ(group().capacity().set_by(), "rps");
  const v1::Activity told = world.LastActivity("Set desired from 2 to 4");
  EXPECT_THAT(told.cause(), HasSubstr("policy rps: it is busy"));
  EXPECT_THAT(world.Pending("blue"), SizeIs(2));
}

TEST_F(PoliciesFollow, ADecisionFromBeforeAPersonsWordCountsNoMore) {
  Decide(4);
  world.now += absl::Seconds(1);
  world.Edit<v1::AutoScalingGroup>("blue",
                                   [&](auto& row) { SetDesired(row, 1, "a person", world.now); });
  world.Step();
  EXPECT_EQ(desired(), 1);
}

TEST_F(PoliciesFollow, AnOldDecisionCountsNoMore) {
  Decide(4);
  world.now += absl::Minutes(5);
  world.Step();
  EXPECT_EQ(desired(), 2);
}

// Others' failure: an evaluator that silently stops.
TEST_F(PoliciesFollow, AClockThatWentBackStopsNothing) {
  Decide(4);
  world.Step();
  world.now -= absl::Hours(2);
  world.seen.start = world.now;
  Decide(6);
  world.now += absl::Seconds(1);
  Decide(6);
  world.Step();
  world.now += absl::Seconds(5);
  Decide(6);
  world.Step();
  EXPECT_EQ(desired(), 6);
}

TEST_F(PoliciesFollow, AScheduleActsWhenItIsDueAndOnce) {
  // 1970-01-12 13:46:40 UTC now.
  Schedule([](auto& policy) {
    policy.set_recurrence("0 14 * * *");
    policy.set_min(3);
    policy.set_desired(5);
  });
  world.Step();
  EXPECT_EQ(desired(), 2);
  EXPECT_LE(world.due, absl::FromUnixSeconds(1'000'800));
  world.now = absl::FromUnixSeconds(1'000'800);
  world.Step();
  EXPECT_EQ(desired(), 5);
  EXPECT_EQ(MinOf(group()), 3);
  EXPECT_EQ(group().min(), 1);
  EXPECT_THAT(world.LastActivity("Set desired from 2 to 5").cause(),
              HasSubstr("scheduled policy nightly was due at 1970-01-12 14:00:00 UTC"));
  // A person takes it back: it is not done again before the next day.
  world.Edit<v1::AutoScalingGroup>("blue",
                                   [&](auto& row) { SetDesired(row, 3, "a person", world.now); });
  world.now += absl::Hours(1);
  world.Step();
  EXPECT_EQ(desired(), 3);
}

TEST_F(PoliciesFollow, AScheduleThatWasDueWhileNobodyLookedActsOnceAfterwards) {
  Schedule([](auto& policy) {
    policy.set_recurrence("*/5 * * * *");
    policy.set_desired(4);
  });
  world.now += absl::Hours(3);
  world.Step();
  EXPECT_EQ(desired(), 4);
}

TEST_F(PoliciesFollow, AOneOffAndItsEnd) {
  Schedule([this](auto& policy) {
    *policy.mutable_start_time() = ToProto(world.now + absl::Seconds(60));
    policy.set_max(1);
  });
  world.Step();
  EXPECT_EQ(desired(), 2);
  world.now += absl::Seconds(60);
  world.Step();
  EXPECT_EQ(desired(), 1);
  EXPECT_EQ(MaxOf(group()), 1);
}

TEST_F(PoliciesFollow, AOneOffDoesNothingAfterItsEnd) {
  Schedule([this](auto& policy) {
    *policy.mutable_start_time() = ToProto(world.now + absl::Seconds(60));
    *policy.mutable_end_time() = ToProto(world.now + absl::Seconds(120));
    policy.set_desired(5);
  });
  world.now += absl::Seconds(300);  // nobody looked meanwhile
  world.Step();
  EXPECT_EQ(desired(), 2);
}

TEST_F(PoliciesFollow, WhatAScheduleTakesAwayWaitsForADeployment) {
  v1::Deployment deployment;
  deployment.set_name("deployments/blue-1");
  deployment.set_auto_scaling_group("blue");
  v1::DeploymentStep launch;
  launch.mutable_launch();
  v1::DeploymentStep drain;
  drain.mutable_drain();
  BeginSteps(deployment, {launch, drain}, world.now);
  Draft draft(world.state);
  draft.Put("blue-1", deployment);
  EXPECT_TRUE(IsMoving(draft, "blue"));
  // What is left is only ended.
  EnterNextStep(deployment, world.now);
  draft.Put("blue-1", deployment);
  EXPECT_FALSE(IsMoving(draft, "blue"));
}

TEST_F(PoliciesFollow, APersonsBoundIsNewerThanASchedules) {
  v1::AutoScalingGroup before = group();
  before.set_max(20);
  before.mutable_capacity()->set_min(10);
  before.mutable_capacity()->set_desired(12);
  v1::AutoScalingGroup after = before;
  after.set_max(5);
  KeepCapacity(&before, after, world.now);
  EXPECT_EQ(MinOf(after), 1);
  EXPECT_EQ(MaxOf(after), 5);
  EXPECT_EQ(DesiredOf(after), 5);
}

TEST_F(PoliciesFollow, SuspendedSchedulesActNot) {
  Schedule([](auto& policy) {
    policy.set_recurrence("* * * * *");
    policy.set_desired(4);
  });
  world.Edit<v1::AutoScalingGroup>("blue", [&](auto& row) {
    row.add_suspended_processes()->set_process(v1::SCALING_PROCESS_SCHEDULED_ACTIONS);
  });
  world.now += absl::Minutes(10);
  world.Step();
  EXPECT_EQ(desired(), 2);
}

TEST_F(PoliciesFollow, RequestsThatWaitWakeAGroupAtRestAtOnce) {
  world.Edit<v1::AutoScalingGroup>("blue", [&](auto& row) {
    row.set_min(0);
    row.mutable_from_zero()->set_wake_to(2);
    SetDesired(row, 0, "it rests", world.now);
  });
  world.Step();
  ASSERT_EQ(desired(), 0);
  world.seen.metrics.wakes["tg"] = world.now;
  world.Step();
  EXPECT_EQ(desired(), 2);
  EXPECT_THAT(world.LastActivity("Set desired from 0 to 2").cause(),
              HasSubstr("requests wait for target group tg"));
}

TEST_F(PoliciesFollow, NobodyWakesAGroupThatAPersonEmptied) {
  world.Edit<v1::AutoScalingGroup>("blue", [&](auto& row) {
    row.set_min(0);
    SetDesired(row, 0, "a person", world.now);
  });
  world.seen.metrics.wakes["tg"] = world.now;
  world.Step();
  EXPECT_EQ(desired(), 0);
}

}  // namespace
}  // namespace remuda::core
