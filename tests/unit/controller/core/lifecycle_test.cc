// The life of instances beyond launch and end: who scale-in chooses and leaves, standby, instances
// that leave and join groups, what is suspended, hooks.
#include "controller/core/door/execute.h"
#include "controller/core/model/capacity.h"
#include "controller/core/model/lifecycle_hooks.h"
#include "controller/core/reconcile/limits.h"
#include "controller/core/views/describe.h"
#include "tests/unit/controller/core/world.h"

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

class LifecycleTest : public ::testing::Test {
 protected:
  LifecycleTest() {
    world.Host("h1", "a");
    world.Host("h2", "a");
    world.Proxy("p1");
    world.Balanced("tg");
    world.Template("shop", 1, 0);
  }
  // Group blue 0..6 in target group tg, settled at `desired`.
  void Shop(int desired, const std::function<void(v1::AutoScalingGroup&)>& edit = nullptr) {
    world.Group("blue", 0, 6, desired, [&](auto& row) {
      row.add_target_groups("tg");
      if (edit) edit(row);
    });
    world.Settle();
  }
  // Asks for it. The draft is committed if it is right.
  template <class Request>
  absl::Status Ask(const Request& request) {
    Draft draft(world.state);
    const auto answer = Execute(draft, request, Context{world.seen, world.now});
    if (answer.ok()) world.state.Apply(draft.Take(), world.state.commit() + 1);
    return answer.status();
  }
  template <class Request>
  absl::Status AskOf(const std::string& id, const std::function<void(Request&)>& edit = nullptr) {
    Request request;
    request.set_name("instances/" + id);
    if (edit) edit(request);
    return Ask(request);
  }
  v1::Instance Row(const std::string& id) { return world.Get<v1::Instance>(id); }
  v1::AutoScalingGroup Group() { return world.Get<v1::AutoScalingGroup>("blue"); }
  v1::AutoScalingGroupStatus Status() {
    return Describe(Draft(world.state), world.seen, world.now, Group()).status();
  }
  bool IsTarget(const std::string& id) {
    return TargetGroupViewOf(world.state, world.seen, "tg").targets.contains(id);
  }

  World world;
};

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
  EXPECT_THAT(std::string(AskOf<v1::AttachInstanceRequest>(world.InService("blue")[0], to_green)
                              .message()),
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

// --- What is suspended ---

class SuspendTest : public LifecycleTest {
 protected:
  void Suspend(v1::ScalingProcess process) {
    v1::SuspendProcessesRequest request;
    request.set_name("autoScalingGroups/blue");
    request.add_processes(process);
    request.set_reason("the racks move");
    ASSERT_TRUE(Ask(request).ok());
  }
  void Resume() {
    v1::ResumeProcessesRequest request;
    request.set_name("autoScalingGroups/blue");
    ASSERT_TRUE(Ask(request).ok());
    EXPECT_THAT(Group().suspended_processes(), IsEmpty());
  }
};

TEST_F(SuspendTest, NoneIsLaunched) {
  Shop(1);
  Suspend(v1::SCALING_PROCESS_LAUNCH);
  world.Desired("blue", 2);
  world.Settle();
  EXPECT_THAT(world.InService("blue"), SizeIs(1));
  EXPECT_EQ(Status().waiting(), "LAUNCH is suspended: the racks move");
  EXPECT_THAT(Status().warnings(), ElementsAre("LAUNCH is suspended: the racks move"));
  Resume();
  world.Settle();
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
}

TEST_F(SuspendTest, NoneIsEndedButByAPerson) {
  Shop(3);
  Suspend(v1::SCALING_PROCESS_TERMINATE);
  world.Desired("blue", 1);
  world.Settle();
  EXPECT_THAT(world.InService("blue"), SizeIs(3));
  ASSERT_TRUE(AskOf<v1::TerminateInstanceRequest>(world.InService("blue")[0]).ok());
  world.Settle();
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
  Resume();
  world.Settle();
  EXPECT_THAT(world.InService("blue"), SizeIs(1));
}

TEST_F(SuspendTest, FailedChecksMarkNobody) {
  Shop(2);
  Suspend(v1::SCALING_PROCESS_HEALTH_CHECK);
  const std::string id = world.InService("blue")[0];
  world.Advance(absl::Minutes(5));
  world.Finds("p1", "tg", id, v1::TARGET_STATE_UNHEALTHY);
  world.Step();
  EXPECT_FALSE(Row(id).unhealthy());
  Resume();
  world.Step();
  EXPECT_TRUE(Row(id).unhealthy());
}

TEST_F(SuspendTest, UnhealthyOnesAreMarkedAndKept) {
  Shop(2);
  Suspend(v1::SCALING_PROCESS_REPLACE_UNHEALTHY);
  const std::string id = world.InService("blue")[0];
  world.Advance(absl::Minutes(5));
  world.Finds("p1", "tg", id, v1::TARGET_STATE_UNHEALTHY);
  world.Step();
  EXPECT_TRUE(Row(id).unhealthy());
  EXPECT_EQ(Row(id).state(), kInService);
  EXPECT_THAT(world.Pending("blue"), IsEmpty());
  Resume();
  world.Step();
  EXPECT_THAT(world.Pending("blue"), SizeIs(1));
}

TEST_F(SuspendTest, ZonesAreNotBalanced) {
  Shop(2);
  Suspend(v1::SCALING_PROCESS_AZ_REBALANCE);
  world.Host("h3", "b");
  world.Advance(kBalanceInterval);
  EXPECT_THAT(world.Pending("blue"), IsEmpty());
  Resume();
  world.Advance(kBalanceInterval);
  ASSERT_THAT(world.Pending("blue"), SizeIs(1));
  EXPECT_THAT(world.InService("blue"), SizeIs(2)) << "launched before one is ended";
}

TEST_F(SuspendTest, NewInstancesAreRegisteredOnlyWhenItIsResumed) {
  Shop(1);
  world.Advance(absl::Seconds(1));
  Suspend(v1::SCALING_PROCESS_ADD_TO_LOAD_BALANCER);
  const std::string old = world.InService("blue")[0];
  world.Desired("blue", 2);
  world.Step();
  const std::string id = world.Pending("blue")[0];
  world.Runs(id);
  world.Step();
  EXPECT_EQ(Row(id).state(), kInService) << "it runs, and no proxy can say more";
  EXPECT_FALSE(IsTarget(id));
  EXPECT_TRUE(IsTarget(old));
  Resume();
  EXPECT_TRUE(IsTarget(id));
}

TEST_F(SuspendTest, AllAreSuspendedWhereNoneIsNamedAndOnceIsEnough) {
  Shop(1);
  v1::SuspendProcessesRequest request;
  request.set_name("autoScalingGroups/blue");
  ASSERT_TRUE(Ask(request).ok());
  EXPECT_THAT(Group().suspended_processes(), SizeIs(9));
  const int64_t commit = world.state.commit();
  Draft draft(world.state);
  ASSERT_TRUE(Execute(draft, request, Context{world.seen, world.now}).ok());
  EXPECT_TRUE(draft.empty()) << commit;
  request.add_processes(static_cast<v1::ScalingProcess>(77));
  EXPECT_THAT(std::string(Ask(request).message()), HasSubstr("processes[0]"));
}

// --- Hooks ---

class HookTest : public LifecycleTest {
 protected:
  static void Add(v1::AutoScalingGroup& row, const std::string& name,
                  v1::LifecycleHook::Transition transition,
                  v1::LifecycleActionResult result = v1::LIFECYCLE_ACTION_RESULT_ABANDON) {
    v1::LifecycleHook& hook = *row.add_lifecycle_hooks();
    hook.set_name(name);
    hook.set_transition(transition);
    hook.set_default_result(result);
    *hook.mutable_heartbeat_timeout() = ToProto(absl::Seconds(60));
  }
  // A group with one desired, whose only instance runs. Answers its id.
  std::string Launching() {
    world.Step();
    const std::string id = *world.state.InstancesOfGroup("blue").begin();
    world.Runs(id);
    world.Step();
    return id;
  }
  absl::Status Complete(const std::string& id, const std::string& hook,
                        v1::LifecycleActionResult result = v1::LIFECYCLE_ACTION_RESULT_CONTINUE) {
    return AskOf<v1::CompleteLifecycleActionRequest>(id, [&](auto& request) {
      request.set_hook(hook);
      request.set_result(result);
    });
  }
  void Blue(const std::function<void(v1::AutoScalingGroup&)>& edit) {
    world.Group("blue", 0, 6, 1, [&](auto& row) {
      row.add_target_groups("tg");
      edit(row);
    });
  }
  static constexpr auto kLaunching = v1::LifecycleHook::TRANSITION_LAUNCHING;
  static constexpr auto kTerminating = v1::LifecycleHook::TRANSITION_TERMINATING;
  static constexpr auto kPendingWait = v1::INSTANCE_STATE_PENDING_WAIT;
  static constexpr auto kTerminatingWait = v1::INSTANCE_STATE_TERMINATING_WAIT;
};

TEST_F(HookTest, HoldsWhatLaunchesUntilAllHooksAreComplete) {
  Blue([](auto& row) {
    Add(row, "warm-up", kLaunching);
    Add(row, "register", kLaunching);
  });
  world.Step();
  const std::string id = world.Pending("blue")[0];
  world.Runs(id);
  {
    // Between the report and the look nobody hears of it.
    Draft draft(world.state);
    Observe(draft, world.seen, world.now, {});
    world.state.Apply(draft.Take(), world.state.commit() + 1);
    ASSERT_TRUE(Row(id).has_start_time());
    EXPECT_FALSE(IsTarget(id));
  }
  world.Step();
  EXPECT_EQ(Row(id).state(), kPendingWait);
  EXPECT_FALSE(IsTarget(id));
  EXPECT_EQ(Status().pending(), 1);
  EXPECT_EQ(Status().waiting(), absl::StrCat("instance ", id, " waits for hook `warm-up`"));
  world.Settle();
  EXPECT_EQ(Row(id).state(), kPendingWait);
  EXPECT_THAT(std::string(Complete(id, "").message()), HasSubstr("waits for 2 hooks"));
  ASSERT_TRUE(Complete(id, "register").ok());
  world.Step();
  EXPECT_EQ(Row(id).state(), kPendingWait);
  ASSERT_TRUE(Complete(id, "").ok());
  world.Finds("p1", "tg", id, v1::TARGET_STATE_INITIAL);
  world.Step();
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_PENDING);
  EXPECT_TRUE(IsTarget(id));
  EXPECT_TRUE(Row(id).launch_hooks_done());
  world.Settle();
  EXPECT_EQ(Row(id).state(), kInService);
  EXPECT_FALSE(Complete(id, "").ok()) << "it waits for nothing";
}

TEST_F(HookTest, ALaunchThatIsAbandonedFailsAndIsTriedAgain) {
  Blue([](auto& row) { Add(row, "warm-up", kLaunching); });
  const std::string id = Launching();
  ASSERT_TRUE(Complete(id, "warm-up", v1::LIFECYCLE_ACTION_RESULT_ABANDON).ok());
  world.Step();
  EXPECT_EQ(Row(id).state(), kDraining);
  EXPECT_TRUE(Row(id).unhealthy());
  EXPECT_THAT(Row(id).state_reason(), HasSubstr("abandoned it at hook warm-up"));
  world.Settle();
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_TERMINATED);
  EXPECT_EQ(Status().launch_failures(), 1);
  EXPECT_THAT(world.Ids("blue", {kPendingWait}), SizeIs(1));
}

TEST_F(HookTest, ItsDefaultResultHoldsWhenNobodyBeats) {
  for (const auto result :
       {v1::LIFECYCLE_ACTION_RESULT_ABANDON, v1::LIFECYCLE_ACTION_RESULT_CONTINUE}) {
    Blue([&](auto& row) { Add(row, "warm-up", kLaunching, result); });
    const std::string id = Launching();
    EXPECT_EQ(world.due, world.now + absl::Seconds(60));
    world.Advance(absl::Seconds(50));
    ASSERT_TRUE(AskOf<v1::RecordLifecycleActionHeartbeatRequest>(id).ok());
    world.Advance(absl::Seconds(59));
    EXPECT_EQ(Row(id).state(), kPendingWait);
    world.Advance(absl::Seconds(1));
    const bool goes_on = result == v1::LIFECYCLE_ACTION_RESULT_CONTINUE;
    EXPECT_EQ(Row(id).state(), goes_on ? v1::INSTANCE_STATE_PENDING : kDraining);
    for (const std::string& gone : std::set<std::string>(
             world.state.InstancesOfGroup("blue").begin(),
             world.state.InstancesOfGroup("blue").end())) {
      Draft draft(world.state);
      draft.Delete<v1::Instance>(gone);
      world.state.Apply(draft.Take(), world.state.commit() + 1);
    }
  }
}

TEST_F(HookTest, HeartbeatsHoldItNoLongerThanAHundredTimesTheTimeout) {
  Blue([](auto& row) { Add(row, "warm-up", kLaunching, v1::LIFECYCLE_ACTION_RESULT_CONTINUE); });
  const std::string id = Launching();
  for (int i = 0; i < kHookTimeouts * 60 / 50 - 1; ++i) {
    world.Advance(absl::Seconds(50));
    ASSERT_TRUE(AskOf<v1::RecordLifecycleActionHeartbeatRequest>(id).ok()) << i;
  }
  EXPECT_EQ(Row(id).state(), kPendingWait);
  world.Advance(absl::Seconds(50));
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_PENDING);
  // And never longer than two days.
  v1::LifecycleHook hook;
  *hook.mutable_heartbeat_timeout() = ToProto(absl::Hours(2));
  v1::LifecycleAction action;
  *action.mutable_start_time() = ToProto(world.now);
  EXPECT_EQ(DeadlineAfterBeat(hook, action, world.now + absl::Hours(47)),
            world.now + kMaxHookWait);
}

TEST_F(HookTest, AHookThatIsTakenOffHoldsNobody) {
  Blue([](auto& row) { Add(row, "warm-up", kLaunching); });
  const std::string id = Launching();
  world.Edit<v1::AutoScalingGroup>("blue", [](auto& row) { row.clear_lifecycle_hooks(); });
  world.Step();
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_PENDING);
}

TEST_F(HookTest, WhatDiesInItsWaitIsAFailedLaunch) {
  Blue([](auto& row) { Add(row, "warm-up", kLaunching); });
  const std::string id = Launching();
  world.Killed(id);
  world.Step();
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_TERMINATED);
  EXPECT_TRUE(Row(id).unhealthy());
  EXPECT_EQ(Status().launch_failures(), 1);
}

TEST_F(HookTest, AWaitOutlivesTheLossOfItsHost) {
  Blue([](auto& row) { Add(row, "warm-up", kLaunching, v1::LIFECYCLE_ACTION_RESULT_CONTINUE); });
  const std::string id = Launching();
  const std::string host = Row(id).host();
  world.Silence(host);
  world.Advance(absl::Seconds(11));
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_UNKNOWN);
  EXPECT_FALSE(IsTarget(id));
  world.Host(host);
  world.Runs(id);
  world.Step();
  EXPECT_EQ(Row(id).state(), kPendingWait);
  ASSERT_TRUE(Complete(id, "warm-up").ok());
  world.Settle();
  EXPECT_EQ(Row(id).state(), kInService);
}

TEST_F(HookTest, HoldsWhatEndsBetweenItsDrainAndItsStop) {
  Blue([](auto& row) { Add(row, "save-logs", kTerminating); });
  world.Settle();
  const std::string id = world.InService("blue")[0];
  world.Desired("blue", 0);
  world.Step();
  EXPECT_EQ(Row(id).state(), kDraining);
  world.Confirm();
  world.Step();
  EXPECT_EQ(Row(id).state(), kTerminatingWait);
  EXPECT_FALSE(IsTarget(id));
  EXPECT_EQ(AssignmentFor(world.state, world.seen, Row(id).host()).at(id).desired(),
            agent::v1::DESIRED_STATE_RUNNING);
  EXPECT_THAT(Status().waiting(), HasSubstr("waits for hook `save-logs`"));
  world.Settle();
  EXPECT_EQ(Row(id).state(), kTerminatingWait);
  EXPECT_EQ(Status().terminating(), 1);
  ASSERT_TRUE(Complete(id, "save-logs").ok());
  world.Step();
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_STOPPING);
}

TEST_F(HookTest, EndsAtOnceWhenAbandonedOrTooLate) {
  Blue([](auto& row) {
    Add(row, "save-logs", kTerminating);
    Add(row, "tell", kTerminating);
  });
  world.Settle();
  std::string id = world.InService("blue")[0];
  world.Desired("blue", 0);
  world.Settle();
  ASSERT_EQ(Row(id).state(), kTerminatingWait);
  ASSERT_TRUE(Complete(id, "tell", v1::LIFECYCLE_ACTION_RESULT_ABANDON).ok());
  world.Step();
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_STOPPING) << "whatever else it waits for";
  world.Settle();
  world.Desired("blue", 1);
  world.Settle();
  id = world.InService("blue")[0];
  world.Desired("blue", 0);
  world.Settle();
  world.Advance(absl::Seconds(60));
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_STOPPING);
}

TEST_F(HookTest, AnUnhealthyOneWaitsTooAndADeadOneDoesNot) {
  Blue([](auto& row) { Add(row, "save-logs", kTerminating); });
  world.Desired("blue", 2);
  world.Settle();
  const auto ids = world.InService("blue");
  world.Advance(absl::Minutes(1));
  world.Finds("p1", "tg", ids[0], v1::TARGET_STATE_UNHEALTHY);
  world.Step();
  world.Settle();
  EXPECT_EQ(Row(ids[0]).state(), kTerminatingWait);
  EXPECT_THAT(world.InService("blue"), SizeIs(2)) << "its replacement did not wait for it";
  world.Killed(ids[0]);
  world.Killed(ids[1]);
  world.Step();
  EXPECT_EQ(Row(ids[0]).state(), v1::INSTANCE_STATE_TERMINATED);
  EXPECT_EQ(Row(ids[1]).state(), v1::INSTANCE_STATE_TERMINATED);
}

TEST_F(HookTest, DeletionWaitsForNoHook) {
  Blue([](auto& row) {
    Add(row, "save-logs", kTerminating);
  });
  world.Desired("blue", 2);
  world.Settle();
  world.Desired("blue", 1);
  world.Settle();
  ASSERT_THAT(world.Ids("blue", {kTerminatingWait}), SizeIs(1));
  v1::DeleteAutoScalingGroupRequest request;
  request.set_name("autoScalingGroups/blue");
  request.set_force(true);
  ASSERT_TRUE(Ask(request).ok());
  world.Settle();
  EXPECT_EQ(world.state.Find<v1::AutoScalingGroup>("blue"), nullptr);
}

TEST_F(HookTest, ADeploymentWaitsForHooksAndSaysSo) {
  world.Template("shop", 2, 0);
  Blue([](auto& row) {
    Add(row, "warm-up", kLaunching);
    row.mutable_lifecycle_hooks(0)->mutable_heartbeat_timeout()->set_seconds(3600);
  });
  const std::string old = Launching();
  ASSERT_TRUE(Complete(old, "").ok());
  world.Settle();
  v1::CreateDeploymentRequest request;
  request.mutable_deployment()->set_auto_scaling_group("blue");
  request.mutable_deployment()->mutable_to()->set_launch_template("shop");
  request.mutable_deployment()->mutable_to()->set_version("2");
  request.mutable_deployment()->mutable_strategy()->mutable_blue_green();
  ASSERT_TRUE(Ask(request).ok());
  world.Settle();
  const auto held = world.Ids("blue", {kPendingWait});
  ASSERT_THAT(held, SizeIs(1));
  const std::string id = world.state.All<v1::Deployment>().begin()->first;
  const auto deployment = [&] {
    return Describe(Draft(world.state), world.seen, world.now, world.Get<v1::Deployment>(id));
  };
  EXPECT_THAT(deployment().waiting(), HasSubstr("waits for hook `warm-up`"));
  // Its health deadline is 10 minutes; the hook has an hour.
  world.Advance(absl::Minutes(50));
  EXPECT_EQ(deployment().state(), v1::DEPLOYMENT_STATE_IN_PROGRESS);
  ASSERT_TRUE(Complete(held[0], "").ok());
  world.Settle();
  world.Advance(absl::Hours(2));
  world.Settle();
  EXPECT_EQ(deployment().state(), v1::DEPLOYMENT_STATE_SUCCEEDED) << deployment().rollback_reason();
}

TEST_F(HookTest, AnAppCompletesAndBeatsItsOwnHooks) {
  Blue([](auto& row) { Add(row, "warm-up", kLaunching); });
  const std::string id = Launching();
  AppWish wish;
  wish.host = Row(id).host();
  wish.call.set_instance(id);
  world.Advance(absl::Seconds(30));
  wish.call.mutable_heartbeat();
  ASSERT_TRUE(Ask(wish).ok());
  world.Advance(absl::Seconds(59));
  EXPECT_EQ(Row(id).state(), kPendingWait);
  wish.call.mutable_complete()->set_hook("other");
  EXPECT_FALSE(Ask(wish).ok());
  wish.call.mutable_complete()->set_hook("warm-up");
  ASSERT_TRUE(Ask(wish).ok());
  world.Settle();
  EXPECT_EQ(Row(id).state(), kInService);
}

}  // namespace
}  // namespace remuda::core
