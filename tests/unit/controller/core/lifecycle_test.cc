// The life of instances beyond launch and end: who scale-in chooses and leaves, standby, instances
// that leave and join groups.
#include "controller/core/reconcile/limits.h"
#include "tests/unit/controller/core/lifecycle_fixture.h"

namespace remuda::core {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr v1::InstanceState kInService = v1::INSTANCE_STATE_IN_SERVICE;
constexpr v1::InstanceState kStandby = v1::INSTANCE_STATE_STANDBY;
constexpr v1::InstanceState kDraining = v1::INSTANCE_STATE_DRAINING;

// --- Who ends first ---

TEST_F(LifecycleTest, ThoseWithFewestRequestsInFlightEndFirst) {
  Shop(3, [](auto& row) {
    row.add_termination_policies(v1::TERMINATION_POLICY_FEWEST_CONNECTIONS);
    row.add_termination_policies(v1::TERMINATION_POLICY_NEWEST_INSTANCE);
  });
  const auto ids = world.InService("blue");
  world.Proxy("p2");
  world.Settle();
  // Over both proxies: 5, 4, 7.
  world.seen.proxies["p1"].in_flight = {{{"tg", ids[0]}, 1}, {{"tg", ids[1]}, 4}};
  world.seen.proxies["p2"].in_flight = {{{"tg", ids[0]}, 4}, {{"tg", ids[2]}, 7}};
  world.Desired("blue", 2);
  world.Step();
  EXPECT_THAT(world.Ids("blue", {kDraining}), ElementsAre(ids[1]));
  world.Desired("blue", 1);
  world.Step();
  EXPECT_THAT(world.Ids("blue", {kDraining}), ElementsAre(ids[0], ids[1]));
}

TEST_F(LifecycleTest, EqualRequestsInFlightAreDecidedByTheNextPolicy) {
  Shop(1, [](auto& row) {
    row.add_termination_policies(v1::TERMINATION_POLICY_FEWEST_CONNECTIONS);
    row.add_termination_policies(v1::TERMINATION_POLICY_NEWEST_INSTANCE);
  });
  world.Advance(absl::Seconds(60));
  world.Desired("blue", 2);
  world.Settle();
  const auto ids = world.InService("blue");
  world.Desired("blue", 1);
  world.Step();
  EXPECT_THAT(world.Ids("blue", {kDraining}), ElementsAre(ids[1]));
}

// --- Protection ---

TEST_F(LifecycleTest, ScaleInLeavesProtectedInstances) {
  Shop(3);
  const auto ids = world.InService("blue");
  for (const std::string& id : {ids[0], ids[1]}) {
    ASSERT_TRUE(AskOf<v1::SetInstanceProtectionRequest>(id, [](auto& request) {
                  request.set_protected_from_scale_in(true);
                }).ok());
  }
  world.Desired("blue", 1);
  world.Settle();
  EXPECT_THAT(world.InService("blue"), ElementsAre(ids[0], ids[1]));
  EXPECT_THAT(Status().warnings(), Contains(HasSubstr("1 instance is desired and 2 are up: 2 are "
                                                      "protected from scale-in")));
  ASSERT_TRUE(AskOf<v1::SetInstanceProtectionRequest>(ids[0]).ok());
  world.Settle();
  EXPECT_THAT(world.InService("blue"), ElementsAre(ids[1]));
  EXPECT_THAT(Status().warnings(), IsEmpty());
}

TEST_F(LifecycleTest, NewInstancesAreProtectedWhereTheGroupSaysSo) {
  Shop(2, [](auto& row) { row.set_protect_new_instances(true); });
  world.Desired("blue", 1);
  world.Settle();
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
}

TEST_F(LifecycleTest, AProtectedInstanceThatFailsIsReplacedAndAPersonMayEndIt) {
  Shop(2, [](auto& row) { row.set_protect_new_instances(true); });
  const auto ids = world.InService("blue");
  world.Advance(absl::Seconds(60));
  world.Finds("p1", "tg", ids[0], v1::TARGET_STATE_UNHEALTHY);
  world.Step();
  world.Settle();
  EXPECT_EQ(Row(ids[0]).state(), v1::INSTANCE_STATE_TERMINATED);
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
  ASSERT_TRUE(AskOf<v1::TerminateInstanceRequest>(ids[1], [](auto& request) {
                request.set_decrement_desired(true);
              }).ok());
  world.Settle();
  EXPECT_EQ(Row(ids[1]).state(), v1::INSTANCE_STATE_TERMINATED);
}

TEST_F(LifecycleTest, ZonesAreBalancedWithoutProtectedInstances) {
  Shop(2, [](auto& row) { row.set_protect_new_instances(true); });
  world.Host("h3", "b");
  world.Advance(kBalanceInterval);
  world.Settle();
  EXPECT_EQ(world.CountActivities("so that the zones"), 0);
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
}

TEST_F(LifecycleTest, ADeploymentReplacesProtectedInstances) {
  world.Template("shop", 2, 0);
  Shop(2, [](auto& row) { row.set_protect_new_instances(true); });
  v1::CreateDeploymentRequest request;
  request.mutable_deployment()->set_auto_scaling_group("blue");
  request.mutable_deployment()->mutable_to()->set_launch_template("shop");
  request.mutable_deployment()->mutable_to()->set_version("2");
  request.mutable_deployment()->mutable_strategy()->mutable_rolling();
  ASSERT_TRUE(Ask(request).ok());
  world.Settle();
  world.Advance(absl::Seconds(30));
  world.Settle();
  for (const std::string& id : world.InService("blue")) {
    EXPECT_EQ(Row(id).launch_template().resolved_version(), 2);
  }
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
}

TEST_F(LifecycleTest, AnAppProtectsItself) {
  Shop(2);
  const auto ids = world.InService("blue");
  AppWish wish;
  wish.host = Row(ids[0]).host();
  wish.call.set_instance(ids[0]);
  wish.call.set_set_protection(true);
  ASSERT_TRUE(Ask(wish).ok());
  EXPECT_TRUE(Row(ids[0]).app_protected());
  EXPECT_EQ(world.CountActivities("its app asked"), 0) << "workers do so for each job";
  EXPECT_FALSE(Row(ids[0]).protected_from_scale_in()) << "a person's wish is apart";
  world.Desired("blue", 0);
  world.Settle();
  EXPECT_THAT(world.InService("blue"), ElementsAre(ids[0]));
  wish.host = "h9";
  EXPECT_EQ(Ask(wish).code(), absl::StatusCode::kNotFound) << "another host speaks for it";
}

// --- Standby ---

TEST_F(LifecycleTest, StandsByOnceTheDrainIsConfirmedWhileAnotherTakesItsPlace) {
  Shop(2);
  const std::string id = world.InService("blue")[0];
  ASSERT_TRUE(AskOf<v1::EnterStandbyRequest>(id).ok());
  world.Step();
  EXPECT_EQ(Row(id).state(), kDraining);
  EXPECT_THAT(world.Pending("blue"), SizeIs(1)) << "another takes its place";
  world.seen.proxies["p1"].busy[{"tg", id}] = 1;
  world.Confirm();
  world.Step();
  EXPECT_EQ(Row(id).state(), kDraining) << "it has requests in flight";
  world.seen.proxies["p1"].busy.clear();
  world.Confirm();
  world.Step();
  EXPECT_EQ(Row(id).state(), kStandby);
  EXPECT_FALSE(IsTarget(id));
  EXPECT_EQ(AssignmentFor(world.state, world.seen, Row(id).host()).at(id).desired(),
            agent::v1::DESIRED_STATE_RUNNING);
  world.Settle();
  EXPECT_EQ(Row(id).state(), kStandby);
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
  EXPECT_EQ(Status().standby(), 1);
}

TEST_F(LifecycleTest, StandbyMayLowerDesiredAndItsEndRaisesIt) {
  Shop(2);
  const std::string id = world.InService("blue")[0];
  const auto lower = [](auto& request) { request.set_decrement_desired(true); };
  ASSERT_TRUE(AskOf<v1::EnterStandbyRequest>(id, lower).ok());
  world.Settle();
  EXPECT_THAT(world.InService("blue"), SizeIs(1));
  EXPECT_EQ(DesiredOf(Group()), 1);
  EXPECT_TRUE(AskOf<v1::EnterStandbyRequest>(id, lower).ok()) << "it stands by";
  EXPECT_EQ(DesiredOf(Group()), 1);
  ASSERT_TRUE(AskOf<v1::ExitStandbyRequest>(id).ok());
  EXPECT_EQ(DesiredOf(Group()), 2);
  world.Step();
  EXPECT_TRUE(IsTarget(id));
  world.Settle();
  EXPECT_EQ(Row(id).state(), kInService);
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
  EXPECT_FALSE(AskOf<v1::ExitStandbyRequest>(id).ok());
}

TEST_F(LifecycleTest, NoneComesBackBeyondMax) {
  Shop(6);
  const std::string id = world.InService("blue")[0];
  ASSERT_TRUE(AskOf<v1::EnterStandbyRequest>(id).ok());
  world.Settle();
  EXPECT_THAT(std::string(AskOf<v1::ExitStandbyRequest>(id).message()), HasSubstr("above max 6"));
  EXPECT_EQ(Row(id).state(), kStandby);
}

TEST_F(LifecycleTest, WhatStandsByIsNotJudgedAndStaysSoOverTheLossOfItsHost) {
  Shop(1);
  world.Host("h3");
  const std::string id = world.InService("blue")[0];
  ASSERT_TRUE(AskOf<v1::EnterStandbyRequest>(id).ok());
  world.Settle();
  world.Finds("p1", "tg", id, v1::TARGET_STATE_UNHEALTHY);
  world.Advance(absl::Hours(1));
  EXPECT_EQ(Row(id).state(), kStandby);
  const std::string host = Row(id).host();
  world.Silence(host);
  world.Advance(absl::Minutes(5));
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_UNKNOWN);
  EXPECT_FALSE(IsTarget(id));
  world.Settle();
  EXPECT_THAT(world.InService("blue"), SizeIs(1));
  world.Host(host);
  world.Settle();
  EXPECT_EQ(Row(id).state(), kStandby);
  EXPECT_THAT(world.InService("blue"), SizeIs(1));
}

TEST_F(LifecycleTest, WhatStandsByAndDiesIsNoFailedLaunchAndIsNotMissing) {
  Shop(1);
  const std::string id = world.InService("blue")[0];
  ASSERT_TRUE(AskOf<v1::EnterStandbyRequest>(id).ok());
  world.Settle();
  world.Killed(id);
  world.Settle();
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_TERMINATED);
  EXPECT_THAT(Row(id).state_reason(), HasSubstr("signal 9"));
  EXPECT_EQ(Status().launch_failures(), 0);
  EXPECT_THAT(world.InService("blue"), SizeIs(1));
}

TEST_F(LifecycleTest, ADeploymentLeavesWhatStandsByAndSaysSo) {
  world.Template("shop", 2, 0);
  Shop(2);
  const std::string id = world.InService("blue")[0];
  ASSERT_TRUE(AskOf<v1::EnterStandbyRequest>(id).ok());
  world.Settle();
  v1::CreateDeploymentRequest request;
  request.mutable_deployment()->set_auto_scaling_group("blue");
  request.mutable_deployment()->mutable_to()->set_launch_template("shop");
  request.mutable_deployment()->mutable_to()->set_version("2");
  request.mutable_deployment()->mutable_strategy()->mutable_blue_green();
  ASSERT_TRUE(Ask(request).ok());
  world.Step();
  EXPECT_THAT(std::string(AskOf<v1::ExitStandbyRequest>(id).message()), HasSubstr("under way"));
  world.Settle();
  for (int i = 0; i < 10; ++i) {
    world.Advance(absl::Minutes(10));
    world.Settle();
  }
  EXPECT_EQ(Row(id).state(), kStandby);
  EXPECT_EQ(Row(id).launch_template().resolved_version(), 1);
  EXPECT_EQ(Group().launch_template().resolved_version(), 2) << "it has succeeded";
  EXPECT_THAT(Status().warnings(),
              ElementsAre(HasSubstr("1 instance of shop:1 stands by: deployments leave")));
}

TEST_F(LifecycleTest, WhatStandsByEndsWithItsGroupAndByAPersonsWish) {
  Shop(3);
  const auto ids = world.InService("blue");
  ASSERT_TRUE(AskOf<v1::EnterStandbyRequest>(ids[0]).ok());
  ASSERT_TRUE(AskOf<v1::EnterStandbyRequest>(ids[1]).ok());
  world.Settle();
  ASSERT_TRUE(AskOf<v1::TerminateInstanceRequest>(ids[0]).ok());
  world.Settle();
  EXPECT_EQ(Row(ids[0]).state(), v1::INSTANCE_STATE_TERMINATED);
  EXPECT_THAT(world.InService("blue"), SizeIs(3));
  v1::DeleteAutoScalingGroupRequest request;
  request.set_name("autoScalingGroups/blue");
  request.set_force(true);
  ASSERT_TRUE(Ask(request).ok());
  world.Settle();
  EXPECT_EQ(world.state.Find<v1::AutoScalingGroup>("blue"), nullptr);
}

TEST_F(LifecycleTest, WhatDrainsToStandByCanBeEndedOrBroughtBackAtOnce) {
  Shop(3);
  const auto ids = world.InService("blue");
  for (const std::string& id : {ids[0], ids[1]}) {
    ASSERT_TRUE(AskOf<v1::EnterStandbyRequest>(id, [](auto& request) {
                  request.set_decrement_desired(true);
                }).ok());
  }
  world.Step();
  ASSERT_TRUE(AskOf<v1::TerminateInstanceRequest>(ids[0]).ok());
  ASSERT_TRUE(AskOf<v1::ExitStandbyRequest>(ids[1]).ok());
  world.Settle();
  EXPECT_EQ(Row(ids[0]).state(), v1::INSTANCE_STATE_TERMINATED);
  EXPECT_EQ(Row(ids[1]).state(), kInService);
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
}

// --- Groups that instances leave and join ---

TEST_F(LifecycleTest, ADetachedInstanceRunsOnOfNoGroupAndMayJoinAnother) {
  Shop(2);
  const std::string id = world.InService("blue")[0];
  ASSERT_TRUE(AskOf<v1::DetachInstanceRequest>(id, [](auto& request) {
                request.set_decrement_desired(true);
              }).ok());
  world.Step();
  EXPECT_EQ(Row(id).state(), kDraining);
  EXPECT_EQ(Row(id).auto_scaling_group(), "blue");
  world.Settle();
  EXPECT_EQ(Row(id).auto_scaling_group(), "");
  EXPECT_EQ(Row(id).state(), kStandby);
  EXPECT_FALSE(IsTarget(id));
  EXPECT_THAT(world.InService("blue"), SizeIs(1));
  EXPECT_EQ(AssignmentFor(world.state, world.seen, Row(id).host()).at(id).desired(),
            agent::v1::DESIRED_STATE_RUNNING);
  world.Group("green", 0, 2, 0, [](auto& row) { row.add_target_groups("tg"); });
  const auto to_green = [](auto& request) { request.set_auto_scaling_group("green"); };
  ASSERT_TRUE(AskOf<v1::AttachInstanceRequest>(id, to_green).ok());
  world.Settle();
  EXPECT_THAT(world.InService("green"), ElementsAre(id));
  EXPECT_EQ(DesiredOf(world.Get<v1::AutoScalingGroup>("green")), 1);
}

TEST_F(LifecycleTest, ADetachedInstanceIsFollowedToItsEnd) {
  Shop(3);
  const auto ids = world.InService("blue");
  for (const std::string& id : ids) {
    ASSERT_TRUE(AskOf<v1::DetachInstanceRequest>(id, [](auto& request) {
                  request.set_decrement_desired(true);
                }).ok());
  }
  world.Settle();
  EXPECT_THAT(world.Ids("", {kStandby}), UnorderedElementsAre(ids[0], ids[1], ids[2]));
  world.Killed(ids[0]);
  world.Settle();
  EXPECT_EQ(Row(ids[0]).state(), v1::INSTANCE_STATE_TERMINATED);
  ASSERT_TRUE(AskOf<v1::TerminateInstanceRequest>(ids[1]).ok());
  world.Settle();
  EXPECT_EQ(Row(ids[1]).state(), v1::INSTANCE_STATE_TERMINATED);
  const std::string host = Row(ids[2]).host();
  world.Silence(host);
  world.Advance(absl::Minutes(1));
  EXPECT_EQ(Row(ids[2]).state(), v1::INSTANCE_STATE_UNKNOWN);
  world.Host(host);
  world.Settle();
  EXPECT_EQ(Row(ids[2]).state(), kStandby);
  world.Advance(kTerminatedKeptFor + absl::Seconds(1));
  EXPECT_EQ(world.state.Find<v1::Instance>(ids[1]), nullptr) << "history is bounded";
}

TEST_F(LifecycleTest, AttachIsRefusedBeyondMaxAndInADeployment) {
  world.Template("shop", 2, 0);
  Shop(1);
  const std::string id = world.InService("blue")[0];
  ASSERT_TRUE(AskOf<v1::DetachInstanceRequest>(id).ok());
  world.Settle();
  world.Group("green", 0, 1, 1, [](auto& row) { row.add_target_groups("tg"); });
  world.Settle();
  const auto to_green = [](auto& request) { request.set_auto_scaling_group("green"); };
  EXPECT_THAT(std::string(AskOf<v1::AttachInstanceRequest>(id, to_green).message()),
              HasSubstr("above max 1"));
  EXPECT_THAT(
      std::string(AskOf<v1::AttachInstanceRequest>(world.InService("blue")[0], to_green).message()),
      HasSubstr("detach it first"));
}

TEST_F(LifecycleTest, TargetGroupsAreAttachedAndDetached) {
  world.Balanced("other");
  Shop(1);
  const std::string id = world.InService("blue")[0];
  v1::AttachTargetGroupsRequest attach;
  attach.set_name("autoScalingGroups/blue");
  attach.add_target_groups("targetGroups/other");
  ASSERT_TRUE(Ask(attach).ok());
  EXPECT_THAT(Group().target_groups(), ElementsAre("tg", "other"));
  EXPECT_TRUE(TargetGroupViewOf(world.state, world.seen, "other").targets.contains(id));
  v1::DetachTargetGroupsRequest detach;
  detach.set_name("autoScalingGroups/blue");
  detach.add_target_groups("tg");
  ASSERT_TRUE(Ask(detach).ok());
  EXPECT_THAT(Group().target_groups(), ElementsAre("other"));
  EXPECT_FALSE(IsTarget(id));
  EXPECT_THAT(std::string(Ask(detach).message()), HasSubstr("is none of"));
  attach.set_target_groups(0, "nowhere");
  EXPECT_THAT(std::string(Ask(attach).message()), HasSubstr("there is no targetGroups/nowhere"));
}

}  // namespace
}  // namespace remuda::core
