// ApplyResources: the lab's manifest, all or nothing, order does not matter, what changed is told.
#include "tests/unit/controller/core/door/execute_fixture.h"

namespace remuda::core {
namespace {

using ApplyTest = ExecuteTest;

TEST_F(ApplyTest, MakesTheLabInAnyOrder) {
  PushImage("shop-v1");
  const auto response = Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(kLab));
  ASSERT_EQ(response.results_size(), 4);
  EXPECT_EQ(response.results(0).name(), "loadBalancers/shop");
  EXPECT_EQ(response.results(3).name(), "launchTemplates/shop/versions/1");
  for (const auto& result : response.results()) {
    EXPECT_EQ(result.outcome(), v1::AppliedResource::OUTCOME_CREATED) << result.name();
  }
  const auto* group = Find<v1::AutoScalingGroup>("blue");
  ASSERT_NE(group, nullptr);
  EXPECT_EQ(group->desired(), 1);
  EXPECT_EQ(group->health_check_grace_period().seconds(), 30);
  EXPECT_EQ(group->policies_size(), 1);
  EXPECT_EQ(Find<v1::TargetGroup>("blue")->deregistration_delay().seconds(), 300);
  EXPECT_EQ(Find<v1::LaunchTemplateVersion>(LaunchTemplateKey("shop", 1))->image_digest(),
            "sha256:" + std::string(64, 'a'));
}

TEST_F(ApplyTest, TheSameAgainChangesNothing) {
  PlayLab();
  Draft draft(state_);
  const auto response = Execute(draft, Parse<v1::ApplyResourcesRequest>(kLab), Now());
  ASSERT_TRUE(response.ok()) << response.status();
  for (const auto& result : response->results()) {
    EXPECT_EQ(result.outcome(), v1::AppliedResource::OUTCOME_UNCHANGED)
        << result.ShortDebugString();
  }
  EXPECT_TRUE(draft.empty());
}

TEST_F(ApplyTest, WhatIsStoredCanBeAppliedAgain) {
  PlayLab();
  v1::ApplyResourcesRequest request;
  *request.add_resources()->mutable_target_group() = *Find<v1::TargetGroup>("blue");
  *request.add_resources()->mutable_auto_scaling_group() = *Find<v1::AutoScalingGroup>("blue");
  *request.add_resources()->mutable_load_balancer() = *Find<v1::LoadBalancer>("shop");
  *request.add_resources()->mutable_launch_template() =
      *Find<v1::LaunchTemplateVersion>(LaunchTemplateKey("shop", 1));
  Draft draft(state_);
  ASSERT_TRUE(Execute(draft, request, Now()).ok());
  EXPECT_TRUE(draft.empty());
}

TEST_F(ApplyTest, TellsEachChangedField) {
  PlayLab();
  const auto response = Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(R"(
    resources { target_group { name: "blue" health_check { path: "/health" interval { seconds: 2 } } labels { key: "team" value: "a" } } })"));
  ASSERT_EQ(response.results_size(), 1);
  EXPECT_EQ(response.results(0).outcome(), v1::AppliedResource::OUTCOME_UPDATED);
  ASSERT_EQ(response.results(0).changes_size(), 3);
  EXPECT_EQ(response.results(0).changes(0), "health_check.interval: 1s -> 2s");
  EXPECT_EQ(response.results(0).changes(1), "health_check.timeout: 1s -> 2s");
  EXPECT_EQ(response.results(0).changes(2), "labels[team]: none -> \"a\"");
}

TEST_F(ApplyTest, NewTemplateContentMakesANewVersionThatVersionZeroMeans) {
  PlayLab();
  PushImage("shop-v2", 'b');
  const auto response = Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(R"(
    resources { auto_scaling_group { name: "green" launch_template { launch_template: "launchTemplates/shop" } max: 1 } }
    resources { launch_template { name: "shop" image: "images/shop-v2" command: "node" } })"));
  EXPECT_EQ(response.results(1).name(), "launchTemplates/shop/versions/2");
  EXPECT_EQ(response.results(1).outcome(), v1::AppliedResource::OUTCOME_UPDATED);
  EXPECT_EQ(Find<v1::AutoScalingGroup>("green")->launch_template().resolved_version(), 2);
  EXPECT_EQ(Find<v1::AutoScalingGroup>("green")->launch_template().launch_template(), "shop");
  EXPECT_EQ(Find<v1::AutoScalingGroup>("blue")->launch_template().resolved_version(), 1);
}

TEST_F(ApplyTest, DesiredLeftOutStaysWithinMinAndMax) {
  PlayLab();
  Do<v1::AutoScalingGroup>(Parse<v1::SetDesiredCapacityRequest>(R"(name: "blue" desired: 2)"));
  const std::string group =
      R"(resources { auto_scaling_group { name: "blue" launch_template { launch_template: "shop" version: "1" } )";
  Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(group + "min: 1 max: 4 } }"));
  EXPECT_EQ(Find<v1::AutoScalingGroup>("blue")->desired(), 2);
  Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(group + "min: 3 max: 4 } }"));
  EXPECT_EQ(Find<v1::AutoScalingGroup>("blue")->desired(), 3);
  // It stood at min, and min is nothing now.
  Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(group + "min: 0 max: 4 } }"));
  EXPECT_EQ(Find<v1::AutoScalingGroup>("blue")->desired(), 0);
  Do<v1::AutoScalingGroup>(Parse<v1::SetDesiredCapacityRequest>(R"(name: "blue" desired: 3)"));
  Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(group + "min: 0 max: 1 } }"));
  EXPECT_EQ(Find<v1::AutoScalingGroup>("blue")->desired(), 1);
}

TEST_F(ApplyTest, AGroupWithoutAVersionKeepsWhatItHas) {
  PlayLab();
  MakeVersion2();
  const auto response = Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(
      R"(resources { auto_scaling_group { name: "blue" launch_template { launch_template: "launchTemplates/shop" } min: 1 max: 2 target_groups: "blue"
           policies { name: "rps" target_tracking { metric: SCALING_METRIC_REQUEST_COUNT_PER_TARGET target: 100 } } } })"));
  EXPECT_EQ(Find<v1::AutoScalingGroup>("blue")->launch_template().resolved_version(), 1);
  ASSERT_EQ(response.results(0).warnings_size(), 1);
  EXPECT_NE(response.results(0).warnings(0).find("the newest is 2"), std::string::npos);
}

TEST_F(ApplyTest, TwoLoadBalancersMaySwapTheirPorts) {
  PlayLab();
  const auto balancers = [](int shop, int other) {
    const std::string rest = R"( default_action { fixed_response { status: 200 } } } } })";
    return Parse<v1::ApplyResourcesRequest>(
        R"(resources { load_balancer { name: "shop" listeners { port: )" + std::to_string(shop) +
        rest + R"(resources { load_balancer { name: "other" listeners { port: )" +
        std::to_string(other) + rest);
  };
  Do<v1::ApplyResourcesResponse>(balancers(8080, 8081));
  Do<v1::ApplyResourcesResponse>(balancers(8081, 8080));
  EXPECT_EQ(Find<v1::LoadBalancer>("shop")->listeners(0).port(), 8081);
  ExpectError(Try(balancers(8081, 8081)), absl::StatusCode::kAlreadyExists,
              "resources[1].load_balancer.listeners[0].port", "loadBalancers/shop");
}

TEST_F(ApplyTest, OneMistakeAndNothingIsApplied) {
  PlayLab();
  struct Case {
    const char* resources;
    const char* field;
    const char* fragment;
  };
  const Case cases[] = {
      {R"(resources { })", "resources[1]", "must be one of"},
      {R"(resources { target_group { } })", "resources[1].target_group.name", "must be given"},
      {R"(resources { target_group { name: "ok" } })", "resources[1].target_group.name",
       "given twice"},
      {R"(resources { target_group { name: "No" } })", "resources[1].target_group.name",
       "\"No\" is not a name"},
      {R"(resources { auto_scaling_group { name: "g" launch_template { launch_template: "shop" } min: 3 max: 2 } })",
       "resources[1].auto_scaling_group.max", "2 is below min 3"},
      {R"(resources { auto_scaling_group { name: "g" launch_template { launch_template: "none" } } })",
       "resources[1].auto_scaling_group.launch_template.launch_template",
       "there is no launchTemplates/none"},
      {R"(resources { auto_scaling_group { name: "g" launch_template { launch_template: "shop" version: "7" } } })",
       "resources[1].auto_scaling_group.launch_template.version",
       "has no version 7; the newest is 1"},
      {R"(resources { load_balancer { name: "l" listeners { port: 81 default_action { forward { target_groups { target_group: "gone" } } } } } })",
       "resources[1].load_balancer.listeners[0].default_action.forward.target_groups[0].target_"
       "group",
       "there is no targetGroups/gone"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.resources);
    const auto request = Parse<v1::ApplyResourcesRequest>(
        std::string(R"(resources { target_group { name: "ok" } })") + c.resources);
    ExpectError(Try(request), absl::StatusCode::kInvalidArgument, c.field, c.fragment);
    EXPECT_EQ(Find<v1::TargetGroup>("ok"), nullptr);
  }
}

TEST_F(ApplyTest, AMistakeInATemplateDoesNotMakeReferencesToItWrong) {
  const absl::Status status = Try(Parse<v1::ApplyResourcesRequest>(R"(
    resources { launch_template { name: "shop" image: "none" command: "node" } }
    resources { auto_scaling_group { name: "blue" launch_template { launch_template: "shop" } max: 1 } })"));
  EXPECT_EQ(ViolationsOf(status).size(), 1U) << status;
  ExpectError(status, absl::StatusCode::kInvalidArgument, "resources[0].launch_template.image",
              "there is no images/none");
}

}  // namespace
}  // namespace remuda::core
