// What every write takes (etag, validate_only), what a write leaves out, who is told to have asked,
// and what a list is filtered by.
#include "controller/core/door/read.h"
#include "controller/core/door/validate_policies.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/etag.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"
#include "tests/unit/controller/core/door/execute_fixture.h"
#include "tests/unit/controller/core/stages.h"

namespace remuda::core {
namespace {

using absl::StatusCode;

class VerbsTest : public ExecuteTest {
 protected:
  void SetUp() override {
    PlayLab();
    MakeVersion2();
    Put<v1::Host>("h1", R"(name: "hosts/h1" zone: "a" labels { key: "disk" value: "ssd" })");
    Put<v1::Host>("h2", R"(name: "hosts/h2" zone: "b")");
    Put<v1::Proxy>("p1", R"(name: "proxies/p1" zone: "a")");
    Put<v1::Instance>("i-1",
                      R"(name: "instances/i-1" auto_scaling_group: "blue" host: "h1" zone: "a"
        state: INSTANCE_STATE_IN_SERVICE launch_template { launch_template: "shop" resolved_version: 1 })");
    Put<v1::Instance>("i-2",
                      R"(name: "instances/i-2" auto_scaling_group: "blue" host: "h2" zone: "b"
        state: INSTANCE_STATE_PENDING launch_template { launch_template: "shop" resolved_version: 1 })");
  }
  Snapshot Here() const { return {state_, seen_, now_}; }

  // With an etag of before the request is refused; with the current one it is done.
  template <class Row, class Request>
  void ExpectEtagHeeded(Request request, const std::string& key) {
    SCOPED_TRACE(Request::descriptor()->name());
    request.set_etag("0123456789abcdef");
    EXPECT_EQ(Try(request).code(), StatusCode::kAborted);
    request.set_etag(EtagOf(*Find<Row>(key)));
    EXPECT_EQ(Try(request), absl::OkStatus());
    request.set_validate_only(true);
    const int64_t commit = state_.commit();
    Draft draft(state_);
    const auto digest = [](std::string_view) { return std::string("x"); };
    EXPECT_TRUE(ExecuteOnce(draft, "a method", request, Now(), digest).ok());
    EXPECT_TRUE(draft.empty()) << "validate_only";
    EXPECT_EQ(state_.commit(), commit);
  }
  template <class T, class Change>
  void Edit(const std::string& key, Change change) {
    T row = *Find<T>(key);
    change(row);
    Draft draft(state_);
    draft.Put(key, std::move(row));
    Commit(draft);
  }
  const v1::LaunchTemplateRef& Runs() const {
    return Find<v1::AutoScalingGroup>("blue")->launch_template();
  }
  void Refer(const std::string& version) {
    v1::UpdateAutoScalingGroupRequest request;
    request.mutable_auto_scaling_group()->set_name("blue");
    auto& launch = *request.mutable_auto_scaling_group()->mutable_launch_template();
    launch.set_launch_template("shop");
    launch.set_version(version);
    request.mutable_update_mask()->add_paths("launch_template");
    Do<v1::AutoScalingGroup>(request);
  }
};

TEST_F(VerbsTest, EveryVerbHeedsEtagAndValidateOnly) {
  ExpectEtagHeeded<v1::Host>(Parse<v1::CordonHostRequest>(R"(name: "h1")"), "h1");
  ExpectEtagHeeded<v1::Host>(Parse<v1::UncordonHostRequest>(R"(name: "h1")"), "h1");
  ExpectEtagHeeded<v1::Host>(Parse<v1::DrainHostRequest>(R"(name: "h1")"), "h1");
  ExpectEtagHeeded<v1::AutoScalingGroup>(
      Parse<v1::SetDesiredCapacityRequest>(R"(name: "blue" desired: 2)"), "blue");
  ExpectEtagHeeded<v1::Instance>(Parse<v1::TerminateInstanceRequest>(R"(name: "i-1")"), "i-1");
  seen_.start = now_ - absl::Hours(1);
  ExpectEtagHeeded<v1::Host>(Parse<v1::DeleteHostRequest>(R"(name: "h1")"), "h1");
  ExpectEtagHeeded<v1::Proxy>(Parse<v1::DeleteProxyRequest>(R"(name: "p1")"), "p1");
  Do<v1::Deployment>(Parse<v1::CreateDeploymentRequest>(
      R"(deployment { auto_scaling_group: "blue" to { launch_template: "shop" } })"));
  ExpectEtagHeeded<v1::Deployment>(Parse<v1::PauseDeploymentRequest>(R"(name: "blue-1")"),
                                   "blue-1");
  ExpectEtagHeeded<v1::Deployment>(Parse<v1::ResumeDeploymentRequest>(R"(name: "blue-1")"),
                                   "blue-1");
  ExpectEtagHeeded<v1::Deployment>(Parse<v1::RollbackDeploymentRequest>(R"(name: "blue-1")"),
                                   "blue-1");
  v1::Deployment baking = *Find<v1::Deployment>("blue-1");
  SetStage(baking, Stage::kBaking);
  Draft draft(state_);
  draft.Put("blue-1", baking);
  Commit(draft);
  ExpectEtagHeeded<v1::Deployment>(Parse<v1::PromoteDeploymentRequest>(R"(name: "blue-1")"),
                                   "blue-1");
  v1::DeleteLaunchTemplateVersionRequest version;
  version.set_name("launchTemplates/shop/versions/2");
  version.set_etag("0123456789abcdef");
  EXPECT_EQ(Try(version).code(), StatusCode::kAborted);
}

// Nobody has decided anything of it meanwhile.
TEST_F(VerbsTest, WhatIsObservedChangesNoEtag) {
  const std::string host = EtagOf(*Find<v1::Host>("h1")), proxy = EtagOf(*Find<v1::Proxy>("p1"));
  Edit<v1::Host>("h1", [](v1::Host& row) {
    row.mutable_lost_time()->set_seconds(1);
    row.mutable_capacity()->set_disk_free_bytes(1);
  });
  Edit<v1::Proxy>("p1", [](v1::Proxy& row) { row.mutable_last_seen_time()->set_seconds(1); });
  EXPECT_EQ(EtagOf(*Find<v1::Host>("h1")), host);
  EXPECT_EQ(EtagOf(*Find<v1::Proxy>("p1")), proxy);
  v1::CordonHostRequest cordon;
  cordon.set_name("h1");
  cordon.set_etag(host);
  const auto cordoned = Do<v1::Host>(cordon);
  EXPECT_NE(cordoned.etag(), host);
  EXPECT_EQ(cordoned.etag(), EtagOf(*Find<v1::Host>("h1")));

  const auto made = Do<v1::Deployment>(Parse<v1::CreateDeploymentRequest>(
      R"(deployment { auto_scaling_group: "blue" to { launch_template: "shop" } })"));
  Edit<v1::Deployment>("blue-1", [](v1::Deployment& row) { row.set_activity("0001"); });
  v1::PauseDeploymentRequest pause;
  pause.set_name("blue-1");
  pause.set_etag(made.etag());
  EXPECT_EQ(Try(pause), absl::OkStatus());
}

// `$Latest` that comes back with the number that it had moves nothing; without it, it is a wish.
TEST_F(VerbsTest, AVersionThatIsReadAndWrittenBackStays) {
  Refer("$Latest");
  EXPECT_EQ(Runs().resolved_version(), 2);
  PushImage("shop-v3", 'c');
  Do<v1::LaunchTemplateVersion>(Parse<v1::CreateLaunchTemplateVersionRequest>(
      R"(launch_template_version { name: "shop" image: "shop-v3" command: "node" })"));
  v1::UpdateAutoScalingGroupRequest request;
  *request.mutable_auto_scaling_group() =
      *Read(Here(), Parse<v1::GetAutoScalingGroupRequest>(R"(name: "autoScalingGroups/blue")"));
  request.mutable_auto_scaling_group()->set_max(3);
  Do<v1::AutoScalingGroup>(request);
  EXPECT_EQ(Find<v1::AutoScalingGroup>("blue")->max(), 3);
  EXPECT_EQ(Runs().resolved_version(), 2);
  EXPECT_EQ(Runs().version(), "$Latest");

  request.mutable_update_mask()->add_paths("launch_template.resolved_version");
  ExpectError(Try(request), StatusCode::kInvalidArgument, "update_mask", "cannot be written");
  request.clear_update_mask();
  request.mutable_auto_scaling_group()->clear_etag();
  request.mutable_auto_scaling_group()->mutable_launch_template()->clear_resolved_version();
  Do<v1::AutoScalingGroup>(request);
  EXPECT_EQ(Runs().resolved_version(), 3);
}

TEST_F(VerbsTest, AVersionIsDeletedByItsNumber) {
  v1::DeleteLaunchTemplateVersionRequest request;
  request.set_name("launchTemplates/shop/versions/$Latest");
  ExpectError(Try(request), StatusCode::kInvalidArgument, "name",
              "means launchTemplates/shop/versions/2 now");
  request.set_name("launchTemplates/shop/versions/2");
  EXPECT_EQ(Try(request), absl::OkStatus());
}

TEST_F(VerbsTest, WhatIsNotReadIsNotJudged) {
  const absl::Status status = Try(Parse<v1::DeregisterTargetsRequest>(
      R"(target_group: "blue" targets { address: "10.0.0.1" port: 80 weight: -1 })"));
  ExpectError(status, StatusCode::kInvalidArgument, "targets[0]", "is not registered by hand");
  EXPECT_EQ(ViolationsOf(status).size(), 1U) << status;
}

TEST_F(VerbsTest, ALoadBalancerHasABound) {
  v1::UpdateLoadBalancerRequest request;
  *request.mutable_load_balancer() = *Find<v1::LoadBalancer>("shop");
  auto& action = *request.mutable_load_balancer()->mutable_listeners(0)->mutable_default_action();
  action.mutable_fixed_response()->set_body(std::string(limits::kLoadBalancerBytes, 'x'));
  ExpectError(Try(request), StatusCode::kInvalidArgument, "load_balancer.listeners",
              "a load balancer has at most 4194304");
}

TEST_F(VerbsTest, ADesiredCapacityIsNamed) {
  ExpectError(Try(Parse<v1::SetDesiredCapacityRequest>(R"(name: "blue")")),
              StatusCode::kInvalidArgument, "desired", "must be given");
  Do<v1::AutoScalingGroup>(Parse<v1::UpdateAutoScalingGroupRequest>(
      R"(auto_scaling_group { name: "blue" min: 0 } update_mask { paths: "min" })"));
  EXPECT_EQ(
      Do<v1::AutoScalingGroup>(Parse<v1::SetDesiredCapacityRequest>(R"(name: "blue" desired: 0)"))
          .desired(),
      0);
}

TEST_F(VerbsTest, WhatAPolicyLeavesOutGetsItsValue) {
  v1::ScalingPolicy tracking;
  tracking.mutable_target_tracking()->set_target(50);
  ApplyDefaults(tracking);
  EXPECT_EQ(FromProto(tracking.target_tracking().scale_in_after()), absl::Seconds(150));
  EXPECT_EQ(FromProto(tracking.target_tracking().scale_in_cooldown()), absl::Seconds(60));
  EXPECT_EQ(FromProto(tracking.target_tracking().scale_out_cooldown()), absl::ZeroDuration());
  v1::ScalingPolicy simple;
  simple.mutable_simple_scaling()->set_adjustment(1);
  ApplyDefaults(simple);
  EXPECT_EQ(FromProto(simple.simple_scaling().cooldown()), absl::Seconds(300));
  v1::ScalingPolicy predictive;
  predictive.mutable_predictive()->set_target(50);
  ApplyDefaults(predictive);
  EXPECT_EQ(FromProto(predictive.predictive().scheduling_buffer()), absl::Seconds(300));
}

TEST_F(VerbsTest, AProtectedGroupIsNotDeleted) {
  const auto protect = [this](bool on) {
    v1::UpdateAutoScalingGroupRequest request;
    request.mutable_auto_scaling_group()->set_name("blue");
    request.mutable_auto_scaling_group()->set_deletion_protection(on);
    request.mutable_update_mask()->add_paths("deletion_protection");
    Do<v1::AutoScalingGroup>(request);
  };
  protect(true);
  ExpectError(Try(Parse<v1::DeleteAutoScalingGroupRequest>(R"(name: "blue" force: true)")),
              StatusCode::kFailedPrecondition, "", "deletion_protection is on");
  protect(false);
  EXPECT_TRUE(Try(Parse<v1::DeleteAutoScalingGroupRequest>(R"(name: "blue" force: true)")).ok());
}

TEST_F(VerbsTest, AVersionsWordIsKeptBesideItsNumber) {
  EXPECT_EQ(Runs().version(), "1");
  Refer("$Latest");
  EXPECT_EQ(Runs().version(), "$Latest");
  EXPECT_EQ(Runs().resolved_version(), 2);
  Refer("$Default");
  EXPECT_EQ(Runs().version(), "$Default");
  EXPECT_EQ(Runs().resolved_version(), 1);
  // What the word means moves, the group does not until it is written again.
  Do<v1::LaunchTemplate>(Parse<v1::UpdateLaunchTemplateRequest>(
      R"(launch_template { name: "shop" default_version: 2 } update_mask { paths: "default_version" })"));
  Do<v1::AutoScalingGroup>(Parse<v1::UpdateAutoScalingGroupRequest>(
      R"(auto_scaling_group { name: "blue" max: 5 } update_mask { paths: "max" })"));
  EXPECT_EQ(Runs().resolved_version(), 1) << "another field was written";
  Refer("");
  EXPECT_EQ(Runs().version(), "$Default") << "left out: as it is";
  EXPECT_EQ(Runs().resolved_version(), 1);
  Refer("$Default");
  EXPECT_EQ(Runs().resolved_version(), 2);
  // A number that a request gives is not taken from what is output only.
  v1::UpdateAutoScalingGroupRequest request;
  request.mutable_auto_scaling_group()->set_name("blue");
  request.mutable_auto_scaling_group()->mutable_launch_template()->set_launch_template("shop");
  request.mutable_auto_scaling_group()->mutable_launch_template()->set_version("2");
  request.mutable_auto_scaling_group()->mutable_launch_template()->set_resolved_version(1);
  request.mutable_update_mask()->add_paths("launch_template");
  Do<v1::AutoScalingGroup>(request);
  EXPECT_EQ(Runs().resolved_version(), 2);
  const auto deployment = Do<v1::Deployment>(Parse<v1::CreateDeploymentRequest>(
      R"(deployment { auto_scaling_group: "blue" to { launch_template: "shop" version: "$Latest" } })"));
  EXPECT_EQ(deployment.to().version(), "$Latest");
  EXPECT_EQ(deployment.to().resolved_version(), 2);
}

TEST_F(VerbsTest, ATemplatesDefaultVersion) {
  const auto set = [](int version) {
    v1::UpdateLaunchTemplateRequest request;
    request.mutable_launch_template()->set_name("launchTemplates/shop");
    request.mutable_launch_template()->set_default_version(version);
    request.mutable_update_mask()->add_paths("default_version");
    return request;
  };
  ExpectError(Try(set(3)), StatusCode::kInvalidArgument, "launch_template.default_version",
              "has no version 3; the newest is 2");
  ExpectError(Try(Parse<v1::UpdateLaunchTemplateRequest>(
                  R"(launch_template { name: "shop" } update_mask { paths: "latest_version" })")),
              StatusCode::kInvalidArgument, "update_mask", "latest_version");
  Refer("2");
  ExpectError(Try(Parse<v1::DeleteLaunchTemplateVersionRequest>(
                  R"(name: "launchTemplates/shop/versions/1")")),
              StatusCode::kFailedPrecondition, "", "is the default version");
  const auto shop = Do<v1::LaunchTemplate>(set(2));
  EXPECT_EQ(shop.default_version(), 2);
  EXPECT_EQ(shop.latest_version(), 2);
  EXPECT_EQ(LastActivity(),
            "Updated launchTemplates/shop: default_version: 1 -> 2 | a person asked for it");
}

TEST_F(VerbsTest, ASecretThatIsShownAsStarsStays) {
  const auto apply = [](const std::string& value) {
    return Parse<v1::ApplyResourcesRequest>(
        R"(resources { launch_template { name: "shop" image: "shop-v1" command: "node" env { key: "A" value: ")" +
        value + "\" } } }");
  };
  Do<v1::ApplyResourcesResponse>(apply("hunter2"));
  const auto same = Do<v1::ApplyResourcesResponse>(apply("***"));
  EXPECT_EQ(same.results(0).outcome(), v1::AppliedResource::OUTCOME_UNCHANGED);
  ExpectError(
      Try(Parse<v1::ApplyResourcesRequest>(
          R"(resources { launch_template { name: "shop" image: "shop-v1" command: "node" env { key: "B" value: "***" } } })")),
      StatusCode::kInvalidArgument, "resources[0].launch_template.env[B]", "none to keep");
  ExpectError(
      Try(Parse<v1::CreateLaunchTemplateVersionRequest>(
          R"(parent: "new" launch_template_version { image: "shop-v1" command: "node" env { key: "A" value: "***" } })")),
      StatusCode::kInvalidArgument, "launch_template_version.env[A]", "none to keep");
}

TEST_F(VerbsTest, AnActivitySaysWhoWantedIt) {
  EXPECT_EQ(state_.All<v1::Activity>().rbegin()->second->actor(), "person/ann");
  Draft draft(state_);
  draft.Note(v1::Activity());
  Commit(draft);
  EXPECT_EQ(state_.All<v1::Activity>().rbegin()->second->actor(), "system");
  const auto list = Read(Here(), Parse<v1::ListActivitiesRequest>(R"(filter: "actor = system")"));
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->activities_size(), 1);
}

TEST_F(VerbsTest, ListsAreFiltered) {
  const auto hosts = [this](const std::string& filter) {
    v1::ListHostsRequest request;
    request.set_filter(filter);
    request.set_page_size(1);
    return Read(Here(), request);
  };
  EXPECT_EQ(hosts("")->next_page_token().empty(), false);
  EXPECT_EQ(hosts("zone = b")->hosts(0).name(), "hosts/h2");
  EXPECT_EQ(hosts("zone = b")->next_page_token(), "") << "a page is filled with what matches";
  EXPECT_EQ(hosts("labels.disk = ssd")->hosts(0).name(), "hosts/h1");
  EXPECT_EQ(hosts("zone = c")->hosts_size(), 0);
  EXPECT_EQ(hosts("colour = red").status().code(), StatusCode::kInvalidArgument);
  const auto instances = [this](const std::string& filter) {
    v1::ListInstancesRequest request;
    request.set_filter(filter);
    return Read(Here(), request);
  };
  for (const char* filter : {"host = h2", "host = hosts/h2", "state = PENDING"}) {
    ASSERT_EQ(instances(filter)->instances_size(), 1) << filter;
    EXPECT_EQ(instances(filter)->instances(0).name(), "instances/i-2") << filter;
  }
  // A token belongs to its filter.
  v1::ListHostsRequest next;
  next.set_page_size(1);
  next.set_page_token(hosts("")->next_page_token());
  EXPECT_TRUE(Read(Here(), next).ok());
  next.set_filter("zone = b");
  EXPECT_EQ(Read(Here(), next).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace remuda::core
