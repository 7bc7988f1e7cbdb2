// The warm pool: filled, taken from, given back to, kept at its version and its size. And instances
// that are replaced for their age, or because a person wants all of them anew.
#include "controller/core/door/execute.h"
#include "controller/core/model/capacity.h"
#include "controller/core/model/warm_pool_size.h"
#include "controller/core/reconcile/limits.h"
#include "controller/core/views/describe.h"
#include "tests/unit/controller/core/world.h"

namespace remuda::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr v1::InstanceState kWarm = v1::INSTANCE_STATE_WARM;

class WarmPoolTest : public ::testing::Test {
 protected:
  WarmPoolTest() {
    world.Host("h1", "a");
    world.Host("h2", "b");
    world.Proxy("p1");
    world.Balanced("tg");
    world.Template("shop", 1, 0);
    world.Template("shop", 2, 0);
  }
  // Group blue 0..4 with `desired`, and a pool that has what is left of max.
  void Shop(int desired, v1::WarmPool::State state,
            const std::function<void(v1::AutoScalingGroup&)>& edit = nullptr) {
    world.Group("blue", 0, 4, desired, [&](auto& row) {
      row.add_target_groups("tg");
      row.mutable_warm_pool()->set_state(state);
      if (edit) edit(row);
    });
    world.Settle();
  }
  template <class Request>
  absl::Status Ask(const Request& request) {
    Draft draft(world.state);
    const auto answer = Execute(draft, request, Context{world.seen, world.now});
    if (answer.ok()) world.state.Apply(draft.Take(), world.state.commit() + 1);
    return answer.status();
  }
  v1::Instance Row(const std::string& id) { return world.Get<v1::Instance>(id); }
  v1::AutoScalingGroup Group() { return world.Get<v1::AutoScalingGroup>("blue"); }
  std::vector<std::string> Warm() { return world.Ids("blue", {kWarm}); }
  bool IsTarget(const std::string& id) {
    return TargetGroupViewOf(world.state, world.seen, "tg").targets.contains(id);
  }
  agent::v1::DesiredState Told(const std::string& id) {
    return AssignmentFor(world.state, world.seen, Row(id).host()).at(id).desired();
  }
  v1::AutoScalingGroupStatus Status() {
    return Describe(Draft(world.state), world.seen, world.now, Group()).status();
  }

  World world;
};

TEST_F(WarmPoolTest, IsFilledBesideTheGroup) {
  Shop(1, v1::WarmPool::STATE_STOPPED);
  EXPECT_THAT(world.InService("blue"), SizeIs(1));
  ASSERT_THAT(Warm(), SizeIs(3));
  for (const std::string& id : Warm()) {
    EXPECT_EQ(Told(id), agent::v1::DESIRED_STATE_PREPARED);
    EXPECT_FALSE(Row(id).has_start_time());
    EXPECT_FALSE(IsTarget(id));
  }
  EXPECT_EQ(Status().warm(), 3);
  EXPECT_EQ(Status().pending(), 0);
}

TEST_F(WarmPoolTest, ARunningPoolRunsAndTakesNoTraffic) {
  Shop(1, v1::WarmPool::STATE_RUNNING);
  ASSERT_THAT(Warm(), SizeIs(3));
  for (const std::string& id : Warm()) {
    EXPECT_EQ(Told(id), agent::v1::DESIRED_STATE_RUNNING);
    EXPECT_TRUE(Row(id).has_start_time());
    EXPECT_FALSE(IsTarget(id));
  }
}

TEST_F(WarmPoolTest, HasItsSize) {
  struct {
    int desired;
    int min_size;
    int max_prepared;  // -1: left out
    size_t size;
  } const kCases[] = {{1, 0, -1, 3}, {4, 0, -1, 0}, {4, 2, -1, 2},
                      {1, 0, 2, 1},  {3, 1, 2, 1},  {0, 0, 0, 0}};
  for (const auto& c : kCases) {
    v1::AutoScalingGroup group;
    group.set_max(4);
    group.set_desired(c.desired);
    EXPECT_EQ(PoolSizeOf(group), 0u);
    group.mutable_warm_pool()->set_min_size(c.min_size);
    if (c.max_prepared >= 0) group.mutable_warm_pool()->set_max_prepared(c.max_prepared);
    EXPECT_EQ(PoolSizeOf(group), c.size) << c.desired << " " << c.max_prepared;
    group.set_deleting(true);
    EXPECT_EQ(PoolSizeOf(group), 0u);
  }
}

TEST_F(WarmPoolTest, AScaleOutTakesWarmOnesFirstAndThePoolIsFilledUp) {
  Shop(1, v1::WarmPool::STATE_STOPPED, [](auto& row) {
    row.mutable_warm_pool()->set_max_prepared(2);
    row.mutable_warm_pool()->set_min_size(1);
  });
  ASSERT_THAT(Warm(), SizeIs(1));
  const std::string warm = Warm()[0];
  world.Desired("blue", 3);
  world.Step();
  EXPECT_EQ(Row(warm).state(), v1::INSTANCE_STATE_PENDING);
  EXPECT_FALSE(Row(warm).in_warm_pool());
  EXPECT_EQ(Told(warm), agent::v1::DESIRED_STATE_RUNNING);
  world.Settle();
  EXPECT_THAT(world.InService("blue"), SizeIs(3));
  EXPECT_EQ(Row(warm).state(), v1::INSTANCE_STATE_IN_SERVICE);
  EXPECT_THAT(Warm(), SizeIs(1)) << "min_size";
}

TEST_F(WarmPoolTest, OneThatIsNotReadyIsNotTaken) {
  Shop(1, v1::WarmPool::STATE_STOPPED);
  const auto warm = Warm();
  for (const std::string& id : warm) {
    world.Status(id).set_state(agent::v1::PROCESS_STATE_STOPPING);
  }
  world.Desired("blue", 2);
  world.Step();
  EXPECT_THAT(world.Pending("blue"), SizeIs(1));
  EXPECT_THAT(warm, ::testing::Not(::testing::Contains(world.Pending("blue")[0])));
}

TEST_F(WarmPoolTest, HooksHoldWhatLeavesThePool) {
  Shop(0, v1::WarmPool::STATE_RUNNING, [](auto& row) {
    row.mutable_warm_pool()->set_max_prepared(1);
    v1::LifecycleHook& hook = *row.add_lifecycle_hooks();
    hook.set_name("warm-up");
    hook.set_transition(v1::LifecycleHook::TRANSITION_LAUNCHING);
    hook.mutable_heartbeat_timeout()->set_seconds(60);
  });
  ASSERT_THAT(Warm(), SizeIs(1)) << "no hook holds it on its way into the pool";
  const std::string id = Warm()[0];
  world.Desired("blue", 1);
  world.Step();
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_PENDING_WAIT);
  EXPECT_FALSE(IsTarget(id));
}

TEST_F(WarmPoolTest, ScaleInGivesBackWhereThePoolTakes) {
  for (const auto state : {v1::WarmPool::STATE_STOPPED, v1::WarmPool::STATE_RUNNING}) {
    Shop(2, state, [](auto& row) {
      row.mutable_warm_pool()->set_max_prepared(2);
      row.mutable_warm_pool()->set_reuse_on_scale_in(true);
    });
    ASSERT_THAT(Warm(), IsEmpty());
    const auto ids = world.InService("blue");
    world.Desired("blue", 1);
    world.Step();
    const auto draining = world.Ids("blue", {v1::INSTANCE_STATE_DRAINING});
    ASSERT_THAT(draining, SizeIs(1));
    const std::string id = draining[0];
    EXPECT_TRUE(Row(id).in_warm_pool());
    EXPECT_TRUE(IsTarget(id)) << "it drains";
    EXPECT_EQ(Told(id), agent::v1::DESIRED_STATE_RUNNING);
    world.Confirm();
    world.Step();
    EXPECT_FALSE(IsTarget(id));
    if (state == v1::WarmPool::STATE_STOPPED) {
      EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_PENDING);
      EXPECT_EQ(Told(id), agent::v1::DESIRED_STATE_PREPARED);
      world.Step();
      EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_PENDING) << "its process still runs";
      EXPECT_FALSE(Row(id).has_start_time());
    }
    world.Settle();
    EXPECT_THAT(Warm(), ElementsAre(id));
    world.Desired("blue", 2);
    world.Settle();
    EXPECT_THAT(world.InService("blue"), UnorderedElementsAre(ids[0], ids[1]));
    // For the next round.
    world.Edit<v1::AutoScalingGroup>("blue", [](auto& row) { row.clear_warm_pool(); });
    world.Desired("blue", 0);
    world.Settle();
    ASSERT_THAT(world.Ids("blue", {kWarm, v1::INSTANCE_STATE_IN_SERVICE}), IsEmpty());
  }
}

TEST_F(WarmPoolTest, WithoutReuseScaleInEndsInstances) {
  Shop(2, v1::WarmPool::STATE_STOPPED,
       [](auto& row) { row.mutable_warm_pool()->set_max_prepared(2); });
  const auto ids = world.InService("blue");
  world.Desired("blue", 1);
  world.Settle();
  ASSERT_THAT(Warm(), SizeIs(1));
  EXPECT_THAT(ids, ::testing::Not(::testing::Contains(Warm()[0])));
}

TEST_F(WarmPoolTest, ADeploymentReplacesThePool) {
  Shop(1, v1::WarmPool::STATE_STOPPED);
  v1::CreateDeploymentRequest request;
  request.mutable_deployment()->set_auto_scaling_group("blue");
  request.mutable_deployment()->mutable_to()->set_launch_template("shop");
  request.mutable_deployment()->mutable_to()->set_version("2");
  request.mutable_deployment()->mutable_strategy()->mutable_rolling();
  ASSERT_TRUE(Ask(request).ok());
  world.Settle();
  for (int i = 0; i < 5; ++i) {
    world.Advance(absl::Minutes(1));
    world.Settle();
  }
  ASSERT_EQ(Group().launch_template().resolved_version(), 2);
  ASSERT_THAT(Warm(), SizeIs(3));
  for (const std::string& id : Warm()) {
    EXPECT_EQ(Row(id).launch_template().resolved_version(), 2);
  }
}

TEST_F(WarmPoolTest, ItsMembersAreReplacedWhenTheyFailAndTheLaunchesWait) {
  Shop(1, v1::WarmPool::STATE_RUNNING,
       [](auto& row) { row.mutable_warm_pool()->set_max_prepared(2); });
  for (int i = 0; i < 2; ++i) {
    ASSERT_THAT(Warm(), SizeIs(1)) << i;
    world.Killed(Warm()[0]);
    world.Step();
    if (i == 0) world.Settle();
  }
  EXPECT_THAT(world.Ids("blue", {v1::INSTANCE_STATE_PENDING}), IsEmpty());
  EXPECT_THAT(Group().status().waiting(), HasSubstr("the warm pool waits: 2 launches"));
  world.Advance(absl::Seconds(2));
  world.Settle();
  EXPECT_THAT(Warm(), SizeIs(1));
  EXPECT_THAT(world.InService("blue"), SizeIs(1));
}

TEST_F(WarmPoolTest, AMemberOfALostHostIsReplaced) {
  world.Host("h3", "a");
  world.Host("h4", "b");
  Shop(1, v1::WarmPool::STATE_STOPPED,
       [](auto& row) { row.mutable_warm_pool()->set_max_prepared(2); });
  const std::string id = Warm()[0];
  world.Silence(Row(id).host());
  world.Advance(absl::Seconds(11));
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_UNKNOWN);
  EXPECT_FALSE(IsTarget(id));
  world.Advance(absl::Seconds(6));
  world.Settle();
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_TERMINATED);
  EXPECT_THAT(Warm(), SizeIs(1));
}

TEST_F(WarmPoolTest, MakesRoomWhereTheGroupFindsNone) {
  world.Template("shop", 1, 8000);
  world.Template("shop", 2, 8000);
  Shop(1, v1::WarmPool::STATE_STOPPED);
  ASSERT_THAT(Warm(), SizeIs(1)) << "one port, two hosts";
  v1::CreateDeploymentRequest request;
  request.mutable_deployment()->set_auto_scaling_group("blue");
  request.mutable_deployment()->mutable_to()->set_launch_template("shop");
  request.mutable_deployment()->mutable_to()->set_version("2");
  request.mutable_deployment()->mutable_strategy()->mutable_blue_green();
  ASSERT_TRUE(Ask(request).ok());
  world.Settle();
  EXPECT_EQ(Group().launch_template().resolved_version(), 2) << "there was room for it";
  EXPECT_EQ(world.CountActivities("the group needs its room"), 1);
  ASSERT_THAT(Warm(), SizeIs(1));
  EXPECT_EQ(Row(Warm()[0]).launch_template().resolved_version(), 2);
}

TEST_F(WarmPoolTest, OneThatIsMissingTakesTheRoomOfOne) {
  world.Host("h3", "a");
  world.Template("shop", 1, 8000);
  Shop(1, v1::WarmPool::STATE_STOPPED);
  ASSERT_THAT(Warm(), SizeIs(2));
  world.Template("shop", 2, 8000);
  v1::CreateDeploymentRequest request;
  request.mutable_deployment()->set_auto_scaling_group("blue");
  request.mutable_deployment()->mutable_to()->set_launch_template("shop");
  request.mutable_deployment()->mutable_to()->set_version("2");
  request.mutable_deployment()->mutable_strategy()->mutable_blue_green();
  ASSERT_TRUE(Ask(request).ok());
  world.Step();
  EXPECT_THAT(Warm(), SizeIs(1));
  EXPECT_THAT(world.Ids("blue", {v1::INSTANCE_STATE_STOPPING}), SizeIs(1));
  world.Settle();
  EXPECT_EQ(world.CountActivities("the group needs its room"), 1);
}

TEST_F(WarmPoolTest, WhatItDoesNotTakeBackWaitsForTerminatingHooks) {
  for (const bool by_person : {false, true}) {
    Shop(2, v1::WarmPool::STATE_RUNNING, [](auto& row) {
      row.mutable_warm_pool()->set_max_prepared(2);
      row.mutable_warm_pool()->set_reuse_on_scale_in(true);
      v1::LifecycleHook& hook = *row.add_lifecycle_hooks();
      hook.set_name("save-logs");
      hook.set_transition(v1::LifecycleHook::TRANSITION_TERMINATING);
      hook.mutable_heartbeat_timeout()->set_seconds(60);
    });
    world.Desired("blue", 1);
    world.Step();
    const auto draining = world.Ids("blue", {v1::INSTANCE_STATE_DRAINING});
    ASSERT_THAT(draining, SizeIs(1));
    ASSERT_TRUE(Row(draining[0]).in_warm_pool());
    if (by_person) {
      v1::TerminateInstanceRequest request;
      request.set_name("instances/" + draining[0]);
      ASSERT_TRUE(Ask(request).ok());
      EXPECT_FALSE(Row(draining[0]).in_warm_pool());
    } else {
      world.Edit<v1::AutoScalingGroup>("blue", [](auto& row) { row.clear_warm_pool(); });
    }
    world.Confirm();
    world.Step();
    EXPECT_EQ(Row(draining[0]).state(), v1::INSTANCE_STATE_TERMINATING_WAIT);
    world.Advance(absl::Minutes(1));
    world.Settle();
  }
}

TEST_F(WarmPoolTest, AMemberThatServedIsStoppedOnlyWhenAllProxiesHaveConfirmed) {
  Shop(2, v1::WarmPool::STATE_RUNNING, [](auto& row) {
    row.mutable_warm_pool()->set_max_prepared(2);
    row.mutable_warm_pool()->set_reuse_on_scale_in(true);
  });
  world.Desired("blue", 1);
  world.Settle();
  ASSERT_THAT(Warm(), SizeIs(1));
  const std::string id = Warm()[0];
  world.seen.proxies["p1"].confirmed_commit = 0;
  world.Edit<v1::AutoScalingGroup>("blue", [](auto& row) { row.clear_warm_pool(); });
  world.Step();
  EXPECT_EQ(Row(id).state(), kWarm);
  world.Confirm();
  world.Step();
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_STOPPING);
}

TEST_F(WarmPoolTest, AMemberWhoseFilesAreGoneIsPreparedAnewOrReplaced) {
  Shop(1, v1::WarmPool::STATE_STOPPED,
       [](auto& row) { row.mutable_warm_pool()->set_max_prepared(2); });
  const std::string id = Warm()[0];
  world.Status(id).set_state(agent::v1::PROCESS_STATE_FETCHING);
  world.Step();
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_PENDING);
  world.Settle();
  EXPECT_THAT(Warm(), ElementsAre(id));
  world.Status(id).set_state(agent::v1::PROCESS_STATE_FETCHING);
  world.Step();
  world.Advance(kFetchLimit);
  world.Settle();
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_TERMINATED);
  EXPECT_THAT(Warm(), SizeIs(1));
}

TEST_F(WarmPoolTest, EndsWithTheGroup) {
  Shop(1, v1::WarmPool::STATE_RUNNING);
  v1::DeleteAutoScalingGroupRequest request;
  request.set_name("autoScalingGroups/blue");
  request.set_force(true);
  ASSERT_TRUE(Ask(request).ok());
  world.Settle();
  EXPECT_EQ(world.state.Find<v1::AutoScalingGroup>("blue"), nullptr);
}

TEST_F(WarmPoolTest, APersonMayEndAMember) {
  Shop(1, v1::WarmPool::STATE_STOPPED);
  const std::string id = Warm()[0];
  v1::TerminateInstanceRequest request;
  request.set_name("instances/" + id);
  ASSERT_TRUE(Ask(request).ok());
  world.Settle();
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_TERMINATED);
  EXPECT_FALSE(Ask(request).ok()) << "it is gone";
  EXPECT_THAT(Warm(), SizeIs(3)) << "another is prepared";
  EXPECT_THAT(world.InService("blue"), SizeIs(1));
}

// --- Age ---

class AgeTest : public WarmPoolTest {
 protected:
  void Old(int max, const std::function<void(v1::AutoScalingGroup&)>& edit = nullptr) {
    world.Group("blue", 0, max, 2, [&](auto& row) {
      row.add_target_groups("tg");
      row.mutable_max_instance_lifetime()->set_seconds(3600);
      if (edit) edit(row);
    });
    world.Settle();
  }
};

TEST_F(AgeTest, OldOnesAreReplacedOneAfterAnotherNewBeforeOld) {
  for (const int max : {4, 2}) {
    Old(max);
    const auto ids = world.InService("blue");
    ASSERT_THAT(ids, SizeIs(2));
    world.Advance(absl::Minutes(59));
    EXPECT_THAT(world.Pending("blue"), IsEmpty());
    world.Advance(absl::Minutes(1));
    ASSERT_THAT(world.Pending("blue"), SizeIs(1)) << "one at a time, also at max";
    EXPECT_THAT(world.InService("blue"), SizeIs(2));
    EXPECT_THAT(Row(world.Pending("blue")[0]).state_reason(),
                HasSubstr("it is older than max_instance_lifetime"));
    world.Settle();
    EXPECT_THAT(world.InService("blue"), SizeIs(2));
    for (const std::string& id : ids) {
      EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_TERMINATED);
    }
    world.Desired("blue", 0);
    world.Settle();
  }
}

TEST_F(AgeTest, ThePoolGrowsOldTooAndNoOldMemberIsTaken) {
  Old(4, [](auto& row) { row.mutable_warm_pool()->set_max_prepared(3); });
  ASSERT_THAT(Warm(), SizeIs(1));
  const std::string id = Warm()[0];
  world.Advance(absl::Hours(1));
  EXPECT_TRUE(Row(id).in_warm_pool()) << "it would be too old at once";
  world.Settle();
  EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_TERMINATED);
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
  EXPECT_THAT(Warm(), SizeIs(1));
  EXPECT_THAT(world.state.InstancesOfGroup("blue"), SizeIs(6)) << "each was replaced once";
}

TEST_F(AgeTest, ProtectedOnesGrowOldAndSoDoAllWhileItIsSuspended) {
  Old(4, [](auto& row) { row.set_protect_new_instances(true); });
  world.Advance(absl::Hours(2));
  EXPECT_THAT(world.Pending("blue"), IsEmpty());
  for (const std::string& id : world.InService("blue")) {
    world.Edit<v1::Instance>(id, [](auto& row) { row.set_protected_from_scale_in(false); });
  }
  v1::SuspendProcessesRequest request;
  request.set_name("autoScalingGroups/blue");
  request.add_processes(v1::SCALING_PROCESS_INSTANCE_REFRESH);
  ASSERT_TRUE(Ask(request).ok());
  world.Step();
  EXPECT_THAT(world.Pending("blue"), IsEmpty());
  v1::ResumeProcessesRequest resume;
  resume.set_name("autoScalingGroups/blue");
  ASSERT_TRUE(Ask(resume).ok());
  world.Step();
  EXPECT_THAT(world.Pending("blue"), SizeIs(1));
}

// --- Refresh ---

TEST_F(WarmPoolTest, ARefreshReplacesAllByACopyOfTheirVersion) {
  world.Group("blue", 0, 4, 2, [](auto& row) {
    row.add_target_groups("tg");
    row.mutable_launch_template()->set_resolved_version(2);
  });
  world.Edit<store::v1::Counter>("launchTemplate/shop", [](auto& row) { row.set_last(2); });
  world.Settle();
  const auto ids = world.InService("blue");
  v1::StartInstanceRefreshRequest request;
  request.set_name("autoScalingGroups/blue");
  ASSERT_TRUE(Ask(request).ok());
  EXPECT_THAT(std::string(Ask(request).message()), HasSubstr("is under way"));
  for (int i = 0; i < 5; ++i) {
    world.Settle();
    world.Advance(absl::Minutes(1));
  }
  EXPECT_EQ(Group().launch_template().resolved_version(), 3);
  EXPECT_THAT(world.InService("blue"), SizeIs(2));
  for (const std::string& id : ids) EXPECT_EQ(Row(id).state(), v1::INSTANCE_STATE_TERMINATED);
  v1::LaunchTemplateVersion copy =
      world.Get<v1::LaunchTemplateVersion>(LaunchTemplateKey("shop", 3));
  EXPECT_EQ(copy.name(), VersionName("shop", 3));
}

TEST_F(WarmPoolTest, ARefreshIsAllOrNothing) {
  Shop(1, v1::WarmPool::STATE_STOPPED);
  v1::StartInstanceRefreshRequest request;
  request.set_name("autoScalingGroups/blue");
  EXPECT_THAT(std::string(Ask(request).message()), HasSubstr("the newest version is 2"));
  request.set_max_percent(90);
  EXPECT_THAT(std::string(Ask(request).message()), HasSubstr("max_percent"));
  EXPECT_EQ(world.state.Find<v1::LaunchTemplateVersion>(LaunchTemplateKey("shop", 3)), nullptr);
}

}  // namespace
}  // namespace remuda::core
