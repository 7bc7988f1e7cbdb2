// What each command does: create, update with masks and etags, delete with its preconditions,
// instances, hosts, proxies. Deployments: execute_deployments_test.cc.
#include <gmock/gmock.h>

#include "tests/unit/controller/core/door/execute_fixture.h"

namespace remuda::core {
namespace {

using absl::StatusCode;

class CommandsTest : public ExecuteTest {
 protected:
  void SetUp() override { PlayLab(); }

  void PutInstance(const std::string& id, v1::InstanceState state) {
    v1::Instance instance;
    instance.set_name("instances/" + id);
    instance.set_auto_scaling_group("blue");
    instance.set_host("h1");
    instance.set_state(state);
    instance.mutable_launch_template()->set_launch_template("shop");
    instance.mutable_launch_template()->set_resolved_version(1);
    Draft draft(state_);
    draft.Put(id, std::move(instance));
    Commit(draft);
  }
};

TEST_F(CommandsTest, IdsOfNewResources) {
  EXPECT_EQ(
      Do<v1::TargetGroup>(Parse<v1::CreateTargetGroupRequest>(R"(target_group_id: "a")")).name(),
      "targetGroups/a");
  EXPECT_EQ(Do<v1::TargetGroup>(
                Parse<v1::CreateTargetGroupRequest>(R"(target_group { name: "targetGroups/b" })"))
                .name(),
            "targetGroups/b");
  ExpectError(Try(Parse<v1::CreateTargetGroupRequest>(
                  R"(target_group_id: "c" target_group { name: "d" })")),
              StatusCode::kInvalidArgument, "target_group.name",
              "is not the name of target_group_id");
  ExpectError(Try(Parse<v1::CreateTargetGroupRequest>(R"(target_group_id: "blue")")),
              StatusCode::kAlreadyExists, "", "targetGroups/blue");
  ExpectError(
      Try(Parse<v1::CreateTargetGroupRequest>("target_group_id: \"" + std::string(64, 'a') + "\"")),
      StatusCode::kInvalidArgument, "target_group_id", "must be [a-z0-9]");
  EXPECT_TRUE(
      Try(Parse<v1::CreateTargetGroupRequest>("target_group_id: \"" + std::string(63, 'a') + "\""))
          .ok());
}

TEST_F(CommandsTest, UpdateMasks) {
  struct Case {
    const char* request;
    const char* fragment;  // of the error; empty: it succeeds
  };
  const Case cases[] = {
      {R"(update_mask { paths: "health_check.interval" })", ""},
      {R"(update_mask { paths: "*" })", ""},
      {R"(update_mask { paths: "labels" })", ""},
      {R"(update_mask { paths: "nope" })", "TargetGroup has no field \"nope\""},
      {R"(update_mask { paths: "health_check.nope" })", "HealthCheck has no field \"nope\""},
      {R"(update_mask { paths: "labels.a" })", "replaced as a whole"},
      {R"(update_mask { paths: "" })", "has no field"},
      {R"(update_mask { paths: "health_check." })", "ends with a dot"},
      {R"(update_mask { paths: "etag" })", "\"etag\" cannot be written"},
      {R"(update_mask { paths: "create_time.seconds" })", "cannot be written"},
      {R"(update_mask { paths: "name" })", "cannot be written"},
      {R"(update_mask { paths: "*" paths: "labels" })", "stands alone"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.request);
    const auto request = Parse<v1::UpdateTargetGroupRequest>(
        std::string(R"(target_group { name: "blue" } )") + c.request);
    if (c.fragment[0] == '\0') {
      EXPECT_TRUE(Try(request).ok()) << Try(request);
    } else {
      ExpectError(Try(request), StatusCode::kInvalidArgument, "update_mask", c.fragment);
    }
  }
}

TEST_F(CommandsTest, AMaskChangesOnlyWhatItNames) {
  const auto group = Do<v1::TargetGroup>(Parse<v1::UpdateTargetGroupRequest>(R"(
    target_group { name: "blue" health_check { interval { seconds: 7 } path: "/ignored" } deregistration_delay { seconds: 1 } }
    update_mask { paths: "health_check.interval" })"));
  EXPECT_EQ(group.health_check().interval().seconds(), 7);
  EXPECT_EQ(group.health_check().path(), "/health");
  EXPECT_EQ(group.deregistration_delay().seconds(), 300);
  // What the mask names and the resource leaves out goes back to its default; without a mask all
  // does.
  EXPECT_EQ(Do<v1::TargetGroup>(Parse<v1::UpdateTargetGroupRequest>(R"(
    target_group { name: "blue" } update_mask { paths: "health_check.interval" })"))
                .health_check()
                .interval()
                .seconds(),
            30);
  EXPECT_EQ(
      Do<v1::TargetGroup>(Parse<v1::UpdateTargetGroupRequest>(R"(target_group { name: "blue" })"))
          .health_check()
          .path(),
      "/");
}

TEST_F(CommandsTest, EtagsGuardUpdates) {
  const auto before =
      Do<v1::TargetGroup>(Parse<v1::UpdateTargetGroupRequest>(R"(target_group { name: "blue" })"));
  ASSERT_FALSE(before.etag().empty());
  v1::UpdateTargetGroupRequest request;
  *request.mutable_target_group() = before;
  request.mutable_target_group()->mutable_deregistration_delay()->set_seconds(5);
  const auto after = Do<v1::TargetGroup>(request);
  EXPECT_NE(after.etag(), before.etag());
  ExpectError(Try(request), StatusCode::kAborted, "", before.etag());
  auto remove = Parse<v1::DeleteTargetGroupRequest>(R"(name: "blue")");
  remove.set_etag(before.etag());
  EXPECT_EQ(Try(remove).code(), StatusCode::kAborted);
}

TEST_F(CommandsTest, AGroupsEtagDoesNotMoveWithItsStatus) {
  const auto read = [this] {
    return Do<v1::AutoScalingGroup>(
               Parse<v1::SetDesiredCapacityRequest>(R"(name: "blue" desired: 1)"))
        .etag();
  };
  const std::string before = read();
  v1::AutoScalingGroup value = *Find<v1::AutoScalingGroup>("blue");
  value.mutable_status()->set_launch_failures(3);
  Draft draft(state_);
  draft.Put("blue", value);
  Commit(draft);
  EXPECT_EQ(read(), before);
}

TEST_F(CommandsTest, UpdateKeepsWhatOnlyTheControllerWrites) {
  v1::AutoScalingGroup value = *Find<v1::AutoScalingGroup>("blue");
  value.mutable_status()->set_launch_failures(3);
  Draft draft(state_);
  draft.Put("blue", value);
  Commit(draft);
  Do<v1::AutoScalingGroup>(Parse<v1::UpdateAutoScalingGroupRequest>(R"(auto_scaling_group {
    name: "blue" launch_template { launch_template: "shop" } max: 5 status { launch_failures: 99 } deleting: true create_time { seconds: 1 } })"));
  const auto* after = Find<v1::AutoScalingGroup>("blue");
  EXPECT_EQ(after->status().launch_failures(), 3);
  EXPECT_FALSE(after->deleting());
  EXPECT_EQ(after->create_time().seconds(), value.create_time().seconds());
  EXPECT_EQ(after->max(), 5);
}

TEST_F(CommandsTest, ScaleByMask) {
  const auto group = Do<v1::AutoScalingGroup>(Parse<v1::UpdateAutoScalingGroupRequest>(R"(
    auto_scaling_group { name: "blue" min: 0 desired: 0 } update_mask { paths: "min" paths: "desired" })"));
  EXPECT_EQ(group.min(), 0);
  EXPECT_EQ(group.desired(), 0);
  EXPECT_EQ(group.max(), 2);
  EXPECT_EQ(LastActivity(),
            "Updated autoScalingGroups/blue: min: 1 -> 0; desired: 1 -> 0 | a person asked for it");
  // min alone takes desired with it; a desired outside is refused.
  EXPECT_EQ(Do<v1::AutoScalingGroup>(Parse<v1::UpdateAutoScalingGroupRequest>(R"(
    auto_scaling_group { name: "blue" min: 2 } update_mask { paths: "min" })"))
                .desired(),
            2);
  ExpectError(Try(Parse<v1::UpdateAutoScalingGroupRequest>(R"(
    auto_scaling_group { name: "blue" desired: 1 } update_mask { paths: "desired" })")),
              StatusCode::kInvalidArgument, "auto_scaling_group.desired",
              "1 is not within min 2 and max 2");
  ExpectError(Try(Parse<v1::SetDesiredCapacityRequest>(R"(name: "blue" desired: 3)")),
              StatusCode::kInvalidArgument, "desired", "3 is not within min 2 and max 2");
}

TEST_F(CommandsTest, NoChangeIsNoEdit) {
  Draft draft(state_);
  ASSERT_TRUE(
      Execute(draft, Parse<v1::SetDesiredCapacityRequest>(R"(name: "blue" desired: 1)"), Now())
          .ok());
  v1::UpdateLoadBalancerRequest request;
  *request.mutable_load_balancer() = *Find<v1::LoadBalancer>("shop");
  ASSERT_TRUE(Execute(draft, request, Now()).ok());
  EXPECT_TRUE(draft.empty());
}

TEST_F(CommandsTest, NamesOfRequests) {
  EXPECT_EQ(Try(Parse<v1::DeleteLoadBalancerRequest>(R"(name: "loadBalancers/none")")).code(),
            StatusCode::kNotFound);
  ExpectError(Try(Parse<v1::DeleteLoadBalancerRequest>("")), StatusCode::kInvalidArgument, "name",
              "is not a name of loadBalancers");
  ExpectError(Try(Parse<v1::DeleteLoadBalancerRequest>(R"(name: "targetGroups/blue")")),
              StatusCode::kInvalidArgument, "name",
              "\"targetGroups/blue\" is not a name of loadBalancers");
  EXPECT_TRUE(Try(Parse<v1::DeleteLoadBalancerRequest>(R"(name: "shop")")).ok());
}

TEST_F(CommandsTest, WhatIsInUseIsNotDeleted) {
  ExpectError(Try(Parse<v1::DeleteImageRequest>(R"(name: "images/shop-v1")")),
              StatusCode::kFailedPrecondition, "", "launchTemplates/shop/versions/1 refers to it");
  ExpectError(Try(Parse<v1::DeleteLaunchTemplateRequest>(R"(name: "shop")")),
              StatusCode::kFailedPrecondition, "", "autoScalingGroups/blue refers to it");
  ExpectError(Try(Parse<v1::DeleteTargetGroupRequest>(R"(name: "blue")")),
              StatusCode::kFailedPrecondition, "", "loadBalancers/shop refers to it");
  Do<Empty>(Parse<v1::DeleteLoadBalancerRequest>(R"(name: "shop")"));
  ExpectError(Try(Parse<v1::DeleteTargetGroupRequest>(R"(name: "blue")")),
              StatusCode::kFailedPrecondition, "", "autoScalingGroups/blue refers to it");
  Do<v1::AutoScalingGroup>(Parse<v1::UpdateAutoScalingGroupRequest>(R"(
    auto_scaling_group { name: "blue" } update_mask { paths: "target_groups" })"));
  Do<v1::RegisterTargetsResponse>(Parse<v1::RegisterTargetsRequest>(
      R"(target_group: "blue" targets { address: "10.0.0.1" port: 80 })"));
  Do<Empty>(Parse<v1::DeleteTargetGroupRequest>(R"(name: "blue")"));
  EXPECT_TRUE(state_.All<v1::Target>().empty());
  Do<Empty>(Parse<v1::DeleteAutoScalingGroupRequest>(R"(name: "blue")"));
  Do<Empty>(Parse<v1::DeleteLaunchTemplateRequest>(R"(name: "shop")"));
  Do<Empty>(Parse<v1::DeleteImageRequest>(R"(name: "shop-v1")"));
  EXPECT_EQ(Find<v1::AutoScalingGroup>("blue"), nullptr);
}

TEST_F(CommandsTest, ATemplatesVersionNumberIsNeverUsedAgain) {
  MakeVersion2();
  Do<Empty>(
      Parse<v1::DeleteLaunchTemplateVersionRequest>(R"(name: "launchTemplates/shop/versions/2")"));
  const auto next = Do<v1::LaunchTemplateVersion>(Parse<v1::CreateLaunchTemplateVersionRequest>(
      R"(launch_template_version { name: "shop" image: "shop-v2" command: "node" })"));
  EXPECT_EQ(next.version(), 3);
  EXPECT_EQ(next.image_digest(), "sha256:" + std::string(64, 'b'));
}

TEST_F(CommandsTest, ATemplatesNumbersEnd) {
  PushImage("shop-v2", 'b');
  Put<store::v1::Counter>("launchTemplate/shop", "last: 99999999");
  ExpectError(Try(Parse<v1::CreateLaunchTemplateVersionRequest>(
                  R"(launch_template_version { name: "shop" image: "shop-v2" command: "node" })")),
              StatusCode::kResourceExhausted, "", "take another name");
}

TEST_F(CommandsTest, AnImageNeverChanges) {
  PushImage("shop-v1", 'a');  // the same bytes again are no error
  RegisterImage other;
  other.image.set_name("images/shop-v1");
  other.image.set_digest("sha256:" + std::string(64, 'c'));
  other.image.set_size_bytes(1);
  ExpectError(Try(other), StatusCode::kAlreadyExists, "", "an image never changes");
}

TEST_F(CommandsTest, AnImageIsSignedOncePerKeyAndAgainByOthers) {
  const auto push = [&](const std::string& key) {
    RegisterImage image;
    image.image.set_name("images/shop-v1");
    image.image.set_digest("sha256:" + std::string(64, 'a'));
    image.image.set_size_bytes(1000);
    auto* signature = image.image.add_signatures();
    signature->set_key_id(key);
    signature->set_signature(std::string(64, 's'));
    return Do<v1::Image>(image);
  };
  EXPECT_EQ(push("ed25519:1").signatures_size(), 1);
  EXPECT_EQ(push("ed25519:1").signatures_size(), 1);
  EXPECT_EQ(push("ed25519:2").signatures_size(), 2);
  EXPECT_NE(LastActivity().find("Added a signature to image shop-v1"), std::string::npos);
  for (int i = 3; i < 20; ++i) push("ed25519:" + std::to_string(i));
  EXPECT_EQ(Find<v1::Image>("shop-v1")->signatures_size(), 8);
}

TEST_F(CommandsTest, DeleteAGroupWithInstances) {
  PutInstance("i-1", v1::INSTANCE_STATE_IN_SERVICE);
  PutInstance("i-2", v1::INSTANCE_STATE_TERMINATED);
  ExpectError(Try(Parse<v1::DeleteAutoScalingGroupRequest>(R"(name: "blue")")),
              StatusCode::kFailedPrecondition, "", "it has 1 instance;");
  Do<Empty>(Parse<v1::DeleteAutoScalingGroupRequest>(R"(name: "blue" force: true)"));
  const auto* group = Find<v1::AutoScalingGroup>("blue");
  ASSERT_NE(group, nullptr);
  EXPECT_TRUE(group->deleting());
  EXPECT_EQ(group->min() + group->desired(), 0);
  ExpectError(Try(Parse<v1::SetDesiredCapacityRequest>(R"(name: "blue" desired: 1)")),
              StatusCode::kFailedPrecondition, "", "being deleted");
  ExpectError(Try(Parse<v1::UpdateAutoScalingGroupRequest>(
                  R"(auto_scaling_group { name: "blue" max: 5 } update_mask { paths: "max" })")),
              StatusCode::kFailedPrecondition, "", "being deleted");
}

TEST_F(CommandsTest, TerminateInstance) {
  Do<v1::AutoScalingGroup>(Parse<v1::SetDesiredCapacityRequest>(R"(name: "blue" desired: 2)"));
  PutInstance("i-1", v1::INSTANCE_STATE_IN_SERVICE);
  PutInstance("i-2", v1::INSTANCE_STATE_IN_SERVICE);
  PutInstance("i-3", v1::INSTANCE_STATE_UNKNOWN);
  EXPECT_EQ(Do<v1::Instance>(
                Parse<v1::TerminateInstanceRequest>(R"(name: "i-1" decrement_desired: true)"))
                .state(),
            v1::INSTANCE_STATE_DRAINING);
  EXPECT_EQ(Find<v1::AutoScalingGroup>("blue")->desired(), 1);
  ExpectError(Try(Parse<v1::TerminateInstanceRequest>(R"(name: "i-2" decrement_desired: true)")),
              StatusCode::kFailedPrecondition, "", "cannot be lowered below min 1");
  ExpectError(Try(Parse<v1::TerminateInstanceRequest>(R"(name: "i-1")")),
              StatusCode::kFailedPrecondition, "", "on its way down");
  // Where another has room beside it, it serves until that one does. What is on its way up, or of a
  // lost host, takes no room of what serves.
  PutInstance("i-5", v1::INSTANCE_STATE_PENDING);
  EXPECT_EQ(
      Do<v1::Instance>(Parse<v1::TerminateInstanceRequest>(R"(name: "instances/i-2")")).state(),
      v1::INSTANCE_STATE_IN_SERVICE);
  EXPECT_TRUE(Find<v1::Instance>("i-2")->terminate_requested());
  Do<v1::AutoScalingGroup>(Parse<v1::UpdateAutoScalingGroupRequest>(
      R"(auto_scaling_group { name: "blue" max: 4 desired: 2 } update_mask { paths: "max" paths: "desired" })"));
  PutInstance("i-4", v1::INSTANCE_STATE_IN_SERVICE);
  const auto marked = Do<v1::Instance>(Parse<v1::TerminateInstanceRequest>(R"(name: "i-4")"));
  EXPECT_EQ(marked.state(), v1::INSTANCE_STATE_IN_SERVICE);
  EXPECT_TRUE(marked.terminate_requested());
  EXPECT_NE(LastActivity().find("it is drained when another is in service in its place"),
            std::string::npos);
  PutInstance("i-6", v1::INSTANCE_STATE_IN_SERVICE);
  PutInstance("i-7", v1::INSTANCE_STATE_IN_SERVICE);
  const auto ended = Do<v1::Instance>(Parse<v1::TerminateInstanceRequest>(R"(name: "i-6")"));
  EXPECT_EQ(ended.state(), v1::INSTANCE_STATE_DRAINING);
  EXPECT_TRUE(ended.terminate_requested()) << "a rollback would take it back";
  EXPECT_NE(LastActivity().find("it goes first: max 4 leaves no room"), std::string::npos)
      << LastActivity();
  const auto lost = Do<v1::Instance>(Parse<v1::TerminateInstanceRequest>(R"(name: "i-3")"));
  EXPECT_EQ(lost.state(), v1::INSTANCE_STATE_UNKNOWN);
  EXPECT_EQ(lost.state_before_unknown(), v1::INSTANCE_STATE_DRAINING);
}

TEST_F(CommandsTest, RegisterAndDeregisterTargets) {
  const std::string two =
      R"(target_group: "blue" targets { address: "10.0.0.1" port: 80 } targets { address: "::1" port: 81 })";
  const auto response = Do<v1::RegisterTargetsResponse>(Parse<v1::RegisterTargetsRequest>(two));
  ASSERT_EQ(response.targets_size(), 2);
  EXPECT_EQ(response.targets(0).name(), "targetGroups/blue/targets/10.0.0.1:80");
  EXPECT_EQ(response.targets(1).name(), "targetGroups/blue/targets/[::1]:81");
  EXPECT_EQ(Do<v1::DeregisterTargetsResponse>(Parse<v1::DeregisterTargetsRequest>(two))
                .targets(1)
                .state(),
            v1::TARGET_STATE_DRAINING);
  EXPECT_FALSE(Do<v1::RegisterTargetsResponse>(Parse<v1::RegisterTargetsRequest>(two))
                   .targets(0)
                   .has_drain_start_time());
  ExpectError(Try(Parse<v1::RegisterTargetsRequest>(
                  R"(target_group: "blue" targets { address: "host" port: 0 })")),
              StatusCode::kInvalidArgument, "targets[0].address",
              "\"host\" is not an IPv4 or IPv6 address");
  ExpectError(
      Try(Parse<v1::RegisterTargetsRequest>(
          R"(target_group: "blue" targets { address: "10.0.0.1" port: 1 } targets { address: "10.0.0.1" port: 1 })")),
      StatusCode::kInvalidArgument, "targets[1]", "named twice");
  // One address in two spellings is one target.
  EXPECT_EQ(Do<v1::RegisterTargetsResponse>(
                Parse<v1::RegisterTargetsRequest>(
                    R"(target_group: "blue" targets { address: "0:0::1" port: 81 })"))
                .targets(0)
                .name(),
            "targetGroups/blue/targets/[::1]:81");
  ExpectError(
      Try(Parse<v1::RegisterTargetsRequest>(
          R"(target_group: "blue" targets { address: "fd::a" port: 1 } targets { address: "FD:0::A" port: 1 })")),
      StatusCode::kInvalidArgument, "targets[1]", "[fd::a]:1 is named twice");
  ExpectError(
      Try(Parse<v1::DeregisterTargetsRequest>(
          R"(target_group: "blue" targets { address: "10.0.0.1" port: 80 } targets { address: "10.0.0.9" port: 1 })")),
      StatusCode::kInvalidArgument, "targets[1]", "10.0.0.9:1 is not registered by hand");
}

TEST_F(CommandsTest, WeightAndZoneOfTargets) {
  const auto register_one = [this](const std::string& more) {
    return Do<v1::RegisterTargetsResponse>(
               Parse<v1::RegisterTargetsRequest>(
                   "target_group: 'blue' targets { address: '10.0.0.1' port: 80 " + more + "}"))
        .targets(0);
  };
  v1::Target target = register_one("");
  EXPECT_EQ(target.weight(), 1);
  EXPECT_EQ(target.zone(), "");
  target = register_one("weight: 5 zone: 'a'");
  EXPECT_EQ(target.weight(), 5);
  EXPECT_EQ(target.zone(), "a");
  EXPECT_EQ(LastActivity(),
            "Changed weight or zone of 1 target: targetGroups/blue/targets/10.0.0.1:80 | a person "
            "asked for it");
  // Left out: as it is, and nothing happens.
  const size_t activities = state_.All<v1::Activity>().size();
  EXPECT_EQ(register_one("").weight(), 5);
  EXPECT_EQ(state_.All<v1::Activity>().size(), activities);
  target = register_one("weight: 0 zone: ''");
  EXPECT_TRUE(target.has_weight());
  EXPECT_EQ(target.weight(), 0);
  EXPECT_EQ(target.zone(), "");
  ExpectError(Try(Parse<v1::RegisterTargetsRequest>(
                  "target_group: 'blue' targets { address: '10.0.0.1' port: 80 weight: 1000 }")),
              StatusCode::kInvalidArgument, "targets[0].weight", "1000 is not within 0-999");
  ExpectError(Try(Parse<v1::RegisterTargetsRequest>(
                  "target_group: 'blue' targets { address: '10.0.0.1' port: 80 zone: '" +
                  std::string(64, 'z') + "' }")),
              StatusCode::kInvalidArgument, "targets[0].zone", "64 bytes; at most 63");
}

TEST_F(CommandsTest, HostsAndProxies) {
  Put<v1::Host>("h1", R"(name: "hosts/h1" schedule: HOST_SCHEDULE_ACTIVE)");
  Put<v1::Proxy>("p1", R"(name: "proxies/p1")");
  EXPECT_EQ(Do<v1::Host>(Parse<v1::CordonHostRequest>(R"(name: "h1")")).schedule(),
            v1::HOST_SCHEDULE_CORDONED);
  EXPECT_EQ(Do<v1::Host>(Parse<v1::DrainHostRequest>(R"(name: "h1")")).schedule(),
            v1::HOST_SCHEDULE_DRAINING);
  EXPECT_EQ(Do<v1::Host>(Parse<v1::UncordonHostRequest>(R"(name: "h1")")).schedule(),
            v1::HOST_SCHEDULE_ACTIVE);
  // A controller that has just begun concludes nothing from silence.
  seen_.start = now_;
  EXPECT_EQ(Try(Parse<v1::DeleteHostRequest>(R"(name: "h1")")).code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(Try(Parse<v1::DeleteProxyRequest>(R"(name: "p1")")).code(),
            StatusCode::kFailedPrecondition);
  now_ += absl::Seconds(15);
  seen_.hosts["h1"].connected = true;
  seen_.proxies["p1"].connected = true;
  EXPECT_EQ(Try(Parse<v1::DeleteHostRequest>(R"(name: "h1")")).code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(Try(Parse<v1::DeleteProxyRequest>(R"(name: "p1")")).code(),
            StatusCode::kFailedPrecondition);
  seen_.hosts["h1"].connected = false;
  seen_.proxies["p1"].connected = false;
  // What a lost host still has goes with it.
  PutInstance("i-1", v1::INSTANCE_STATE_UNKNOWN);
  PutInstance("i-2", v1::INSTANCE_STATE_TERMINATED);
  Do<Empty>(Parse<v1::DeleteHostRequest>(R"(name: "h1")"));
  EXPECT_EQ(Find<v1::Instance>("i-1")->state(), v1::INSTANCE_STATE_TERMINATED);
  EXPECT_EQ(Find<v1::Instance>("i-1")->state_reason(), "its host h1 was lost, and then deleted");
  EXPECT_EQ(Find<v1::Instance>("i-2")->state_reason(), "");
  EXPECT_THAT(LastActivity(), testing::HasSubstr("Forgot hosts/h1 and its 1 instance"));
  Do<Empty>(Parse<v1::DeleteProxyRequest>(R"(name: "p1")"));
  EXPECT_EQ(Find<v1::Host>("h1"), nullptr);
  EXPECT_EQ(Find<v1::Proxy>("p1"), nullptr);
}

}  // namespace
}  // namespace remuda::core
