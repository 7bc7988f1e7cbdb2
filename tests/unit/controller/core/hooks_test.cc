// What a group does by itself, suspended; and the hooks that hold its instances.
#include <set>

#include "controller/core/model/lifecycle_hooks.h"
#include "controller/core/reconcile/limits.h"
#include "tests/unit/controller/core/lifecycle_fixture.h"

namespace remuda::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr v1::InstanceState kInService = v1::INSTANCE_STATE_IN_SERVICE;
constexpr v1::InstanceState kDraining = v1::INSTANCE_STATE_DRAINING;

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

TEST_F(SuspendTest, AClockThatIsSetBackRegistersAndTakesOutNone) {
  Shop(1);
  world.Advance(absl::Seconds(1));
  const std::string old = world.InService("blue")[0];
  Suspend(v1::SCALING_PROCESS_ADD_TO_LOAD_BALANCER);
  world.Advance(absl::Seconds(1));
  world.Desired("blue", 2);
  world.Step();
  const std::string id = world.Pending("blue")[0];
  world.Runs(id);
  world.Step();
  for (int i = 0; i < 2; ++i) {
    world.now -= absl::Seconds(100);
    world.Step();
    EXPECT_FALSE(IsTarget(id));
    EXPECT_TRUE(IsTarget(old));
  }
  EXPECT_LE(FromProto(Group().suspended_processes(0).time()), world.now);
}

TEST_F(SuspendTest, WhatWasDueMeanwhileIsPast) {
  Shop(1, [&](auto& row) {
    v1::ScalingPolicy& policy = *row.add_policies();
    policy.set_name("night");
    policy.mutable_scheduled()->set_desired(0);
    *policy.mutable_scheduled()->mutable_start_time() = ToProto(world.now + absl::Hours(1));
    row.mutable_capacity()->set_desired(1);
    (*row.mutable_capacity()->mutable_policy_times())["night"] = ToProto(world.now);
  });
  Suspend(v1::SCALING_PROCESS_SCHEDULED_ACTIONS);
  world.Advance(absl::Hours(2));
  Resume();
  world.Step();
  EXPECT_EQ(DesiredOf(Group()), 1);
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
  EXPECT_FALSE(IsTarget(id)) << "before it is looked at";
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
    for (const std::string& gone :
         std::set<std::string>(world.state.InstancesOfGroup("blue").begin(),
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
  EXPECT_EQ(DeadlineAfterBeat(hook, action, world.now + absl::Hours(47)), world.now + kMaxHookWait);
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
  world.Confirm();
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
  world.Confirm();
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
  Blue([](auto& row) { Add(row, "save-logs", kTerminating); });
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
