// What a hook holds for hours, beside all that goes on meanwhile.
#include "tests/unit/controller/core/lifecycle_fixture.h"

namespace remuda::core {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr v1::InstanceState kInService = v1::INSTANCE_STATE_IN_SERVICE;

TEST_F(HookTest, AFailedLaunchIsHeldByNoTerminatingHookAndTheNextOneWaits) {
  Blue([](auto& row) {
    Add(row, "warm-up", kLaunching);
    Add(row, "save-logs", kTerminating);
  });
  Launching();
  for (int i = 0; i < 3; ++i) {
    const auto held = world.Ids("blue", {kPendingWait});
    ASSERT_THAT(held, SizeIs(1)) << i;
    ASSERT_TRUE(Complete(held[0], "", v1::LIFECYCLE_ACTION_RESULT_ABANDON).ok());
    world.Settle();
  }
  EXPECT_THAT(world.Ids("blue", {kTerminatingWait}), IsEmpty());
  EXPECT_THAT(world.Ids("blue", {kPendingWait}), IsEmpty()) << "it waits for the back-off";
  EXPECT_EQ(Status().launch_failures(), 3);
}

TEST_F(HookTest, OneThatFailedSoonHasFailedWhileItIsHeld) {
  Blue([](auto& row) {
    Add(row, "save-logs", kTerminating);
    row.clear_health_check_grace_period();
  });
  world.Settle();
  const std::string id = world.InService("blue")[0];
  world.Finds("p1", "tg", id, v1::TARGET_STATE_UNHEALTHY);
  world.Step();
  world.Settle();
  ASSERT_EQ(Row(id).state(), kTerminatingWait);
  EXPECT_EQ(Status().launch_failures(), 1);
}

TEST_F(HookTest, WhatIsHeldOnItsWayDownHoldsUpNoReplacement) {
  Blue([](auto& row) { Add(row, "save-logs", kTerminating); });
  world.Desired("blue", 2);
  world.Settle();
  const auto ids = world.InService("blue");
  world.Advance(absl::Minutes(1));
  for (const std::string& id : ids) {
    world.Finds("p1", "tg", id, v1::TARGET_STATE_UNHEALTHY);
    world.Step();
    EXPECT_TRUE(Row(id).unhealthy()) << id;
    world.Settle();
    EXPECT_EQ(Row(id).state(), kTerminatingWait) << id;
  }
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
}

TEST_F(HookTest, WhatIsHeldOnItsWayUpHoldsUpNoReplacement) {
  Blue([](auto&) {});
  world.Settle();
  const std::string id = world.InService("blue")[0];
  world.Edit<v1::AutoScalingGroup>("blue", [](auto& row) { Add(row, "warm-up", kLaunching); });
  world.Desired("blue", 2);
  world.Settle();
  ASSERT_THAT(world.Ids("blue", {kPendingWait}), SizeIs(1));
  world.Advance(absl::Seconds(31));
  world.Finds("p1", "tg", id, v1::TARGET_STATE_UNHEALTHY);
  world.Step();
  EXPECT_TRUE(Row(id).unhealthy());
}

TEST_F(HookTest, IsStoppedOnlyWhenProxiesThatCameBackMeanwhileHaveConfirmed) {
  world.Proxy("p2");
  Blue([](auto& row) { Add(row, "save-logs", kTerminating); });
  world.Settle();
  const std::string id = world.InService("blue")[0];
  world.Desired("blue", 0);
  world.Settle();
  ASSERT_EQ(Row(id).state(), kTerminatingWait);
  world.seen.proxies["p2"].confirmed_commit = 0;  // with what it had on its disk
  ASSERT_TRUE(Complete(id, "").ok());
  world.seen.proxies["p1"].confirmed_commit = world.state.commit();
  world.Step();
  EXPECT_EQ(Row(id).state(), kTerminatingWait);
  world.Confirm();
  world.Step();
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_STOPPING);
}

TEST_F(HookTest, ADeploymentsDeadlineWaitsForNoneOnItsWayDown) {
  world.Template("shop", 2, 0);
  Blue([](auto& row) {
    Add(row, "save-logs", kTerminating);
    row.mutable_lifecycle_hooks(0)->mutable_heartbeat_timeout()->set_seconds(7200);
  });
  world.Desired("blue", 2);
  world.Settle();
  world.Desired("blue", 1);
  world.Settle();
  ASSERT_THAT(world.Ids("blue", {kTerminatingWait}), SizeIs(1));
  v1::CreateDeploymentRequest request;
  request.mutable_deployment()->set_auto_scaling_group("blue");
  request.mutable_deployment()->mutable_to()->set_launch_template("shop");
  request.mutable_deployment()->mutable_to()->set_version("2");
  request.mutable_deployment()->mutable_strategy()->mutable_blue_green();
  ASSERT_TRUE(Ask(request).ok());
  // What is new runs, and nobody finds it healthy.
  for (int i = 0; i < 12; ++i) {
    world.Step();
    for (const std::string& id : world.Pending("blue")) world.Runs(id);
    world.Confirm();
    world.Advance(absl::Minutes(1));
  }
  const auto& row = *world.state.All<v1::Deployment>().begin()->second;
  EXPECT_NE(row.state(), v1::DEPLOYMENT_STATE_IN_PROGRESS);
  EXPECT_THAT(world.Ids("blue", {kTerminatingWait}), SizeIs(1)) << "it is held all the while";
}

TEST_F(HookTest, IsCompletedWhileItsHostIsSilent) {
  Blue([](auto& row) { Add(row, "warm-up", kLaunching); });
  const std::string id = Launching();
  const std::string host = Row(id).host();
  world.Silence(host);
  world.Advance(absl::Seconds(11));
  ASSERT_EQ(Row(id).state(), v1::INSTANCE_STATE_UNKNOWN);
  ASSERT_TRUE(Complete(id, "warm-up").ok());
  world.Step();
  EXPECT_FALSE(IsTarget(id));
  world.Host(host);
  world.Runs(id);
  world.Settle();
  EXPECT_EQ(Row(id).state(), kInService);
}

TEST_F(HookTest, WhatIsRecordedAsGoneWithItsHostWaitsForNothing) {
  Blue([](auto& row) { Add(row, "warm-up", kLaunching); });
  const std::string id = Launching();
  const std::string host = Row(id).host();
  world.Silence(host);
  world.Advance(absl::Seconds(30));
  v1::DeleteHostRequest request;
  request.set_name("hosts/" + host);
  ASSERT_TRUE(Ask(request).ok());
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_TERMINATED);
  EXPECT_THAT(Row(id).lifecycle_actions(), IsEmpty());
}

TEST_F(HookTest, AClockThatIsSetBackMakesNoWaitLonger) {
  Blue([](auto& row) { Add(row, "warm-up", kLaunching); });
  const std::string id = Launching();
  world.Advance(absl::Seconds(10));
  world.now -= absl::Hours(1);
  world.Step();
  EXPECT_EQ(FromProto(Row(id).lifecycle_actions(0).start_time()), world.now);
  EXPECT_EQ(FromProto(Row(id).lifecycle_actions(0).heartbeat_deadline()),
            world.now + absl::Seconds(60));
  EXPECT_EQ(world.due, world.now + absl::Seconds(60));
}

TEST_F(HookTest, AHeartbeatThatMovesTheDeadlineByLittleIsNoEdit) {
  Blue([](auto& row) { Add(row, "warm-up", kLaunching); });
  const std::string id = Launching();
  v1::RecordLifecycleActionHeartbeatRequest request;
  request.set_name("instances/" + id);
  for (const int seconds : {1, 5, 6, 20}) {
    Draft draft(world.state);
    ASSERT_TRUE(
        Execute(draft, request, Context{world.seen, world.now + absl::Seconds(seconds)}).ok());
    EXPECT_EQ(draft.empty(), seconds < 6) << seconds;
  }
}

}  // namespace
}  // namespace remuda::core
