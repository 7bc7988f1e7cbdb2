#include "cli/group_size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace remuda::cli {
namespace {

using ::testing::ElementsAre;

google::protobuf::Timestamp At(int64_t seconds) {
  google::protobuf::Timestamp out;
  out.set_seconds(seconds);
  return out;
}

v1::AutoScalingGroup Blue() {
  v1::AutoScalingGroup group;
  group.set_name("autoScalingGroups/blue");
  group.set_min(1);
  group.set_max(10);
  group.set_desired(2);
  return group;
}

TEST(GroupSize, WhatPoliciesSetGoesBeforeWhatAPersonWrote) {
  v1::AutoScalingGroup group = Blue();
  EXPECT_EQ(SizeText(group), "1/2/10");
  group.mutable_capacity()->set_desired(3);
  EXPECT_EQ(SizeText(group), "1/3/10") << "a person's";
  group.mutable_capacity()->set_set_by("rps");
  EXPECT_EQ(SizeText(group), "1/3*/10");
  group.mutable_capacity()->set_min(3);
  group.mutable_capacity()->set_max(20);
  EXPECT_EQ(SizeText(group), "3*/3*/20*");
  const GroupSize size = SizeOf(group);
  EXPECT_THAT((std::vector{size.min, size.desired, size.max}), ElementsAre(3, 3, 20));
}

TEST(GroupSize, DescribeSaysWhoSetItAndWhy) {
  v1::AutoScalingGroup group = Blue();
  EXPECT_THAT(SizeLines(group, At(100)), ElementsAre("2 instances are wanted", "min 1, max 10"));
  auto& capacity = *group.mutable_capacity();
  capacity.set_desired(1);
  *capacity.mutable_set_time() = At(40);
  EXPECT_THAT(SizeLines(group, At(100)),
              ElementsAre("1 instance is wanted, set by a person 60s ago", "min 1, max 10"));
  capacity.set_cause("a person set it");
  EXPECT_EQ(SizeLines(group, At(100))[0], "1 instance is wanted, set 60s ago: a person set it");
  capacity.set_desired(4);
  capacity.set_set_by("rps");
  capacity.set_cause("340 requests a second");
  capacity.set_min(3);
  group.mutable_status()->set_scaling("rps wants 4, as there are");
  EXPECT_THAT(
      SizeLines(group, At(100)),
      ElementsAre("4 instances are wanted, set by policy rps 60s ago (a person wrote 2): 340 "
                  "requests a second",
                  "min 3, max 10, set by a scheduled policy (a person wrote 1 and 10)",
                  "policies: rps wants 4, as there are"));
}

TEST(GroupSize, DescribeSaysWhatElseChangesTheSize) {
  v1::AutoScalingGroup group = Blue();
  group.mutable_status()->set_standby(1);
  group.mutable_status()->set_warm(2);
  group.mutable_warm_pool()->set_min_size(3);
  group.mutable_warm_pool()->set_state(v1::WarmPool::STATE_STOPPED);
  group.mutable_warm_pool()->set_reuse_on_scale_in(true);
  auto& hook = *group.add_lifecycle_hooks();
  hook.set_name("warm-up");
  hook.set_transition(v1::LifecycleHook::TRANSITION_LAUNCHING);
  hook.mutable_heartbeat_timeout()->set_seconds(300);
  hook.set_default_result(v1::LIFECYCLE_ACTION_RESULT_ABANDON);
  auto& suspended = *group.add_suspended_processes();
  suspended.set_process(v1::SCALING_PROCESS_LAUNCH);
  suspended.set_reason("maintenance");
  group.add_suspended_processes()->set_process(v1::SCALING_PROCESS_AZ_REBALANCE);
  group.mutable_from_zero()->mutable_idle_after()->set_seconds(300);
  group.mutable_from_zero()->set_wake_to(1);
  group.mutable_max_instance_lifetime()->set_seconds(86400);
  group.set_protect_new_instances(true);
  EXPECT_THAT(SizeLines(group, At(100)),
              ElementsAre("2 instances are wanted", "min 1, max 10", "1 instance stands by",
                          "warm pool: 2 of at least 3, STOPPED, refilled by scale-in",
                          "hook warm-up holds instances that launch, for 300s, then ABANDON",
                          "suspended: LAUNCH (maintenance), AZ_REBALANCE",
                          "rests at none after 300s without a request, and wakes to 1",
                          "instances are replaced after 86400s",
                          "new instances are protected from scale-in"));
}

TEST(GroupSize, InstancesSayWhatHoldsThem) {
  v1::Instance instance;
  EXPECT_EQ(ProtectedText(instance), "-");
  EXPECT_EQ(HooksText(instance), "-");
  instance.set_app_protected(true);
  EXPECT_EQ(ProtectedText(instance), "app");
  instance.set_protected_from_scale_in(true);
  EXPECT_EQ(ProtectedText(instance), "yes");
  instance.add_lifecycle_actions()->set_hook("warm-up");
  instance.add_lifecycle_actions()->set_hook("audit");
  EXPECT_EQ(HooksText(instance), "warm-up,audit");
}

}  // namespace
}  // namespace remuda::cli
