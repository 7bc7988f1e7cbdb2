// What the commands of deployments do, in each stage.
#include <gmock/gmock.h>

#include "controller/core/model/deployment_row.h"
#include "tests/unit/controller/core/door/execute_fixture.h"
#include "tests/unit/controller/core/stages.h"

namespace remuda::core {
namespace {

using absl::StatusCode;

class DeploymentsTest : public ExecuteTest {
 protected:
  void SetUp() override { PlayLab(); }

  v1::Deployment Deploy(bool supersede = false) {
    auto request = Parse<v1::CreateDeploymentRequest>(
        R"(deployment { auto_scaling_group: "blue" to { launch_template: "shop" } })");
    request.set_supersede(supersede);
    return Do<v1::Deployment>(request);
  }

  void PutStage(const std::string& id, Stage stage) {
    v1::Deployment value = *Find<v1::Deployment>(id);
    value.clear_steps();
    value.clear_state();
    SetStage(value, stage);
    Draft draft(state_);
    draft.Put(id, std::move(value));
    Commit(draft);
  }
};

TEST_F(DeploymentsTest, CreateDeployment) {
  struct Case {
    const char* deployment;
    StatusCode code;
    const char* field;
    const char* fragment;
  };
  MakeVersion2();
  const Case cases[] = {
      {R"(to { launch_template: "shop" })", StatusCode::kInvalidArgument,
       "deployment.auto_scaling_group", "is not a name"},
      {R"(auto_scaling_group: "red" to { launch_template: "shop" })", StatusCode::kInvalidArgument,
       "deployment.auto_scaling_group", "there is no autoScalingGroups/red"},
      {R"(auto_scaling_group: "blue")", StatusCode::kInvalidArgument,
       "deployment.to.launch_template", "must name"},
      {R"(auto_scaling_group: "blue" to { launch_template: "shop" version: "3" })",
       StatusCode::kInvalidArgument, "deployment.to.version", "the newest is 2"},
      {R"(auto_scaling_group: "blue" to { launch_template: "shop" version: "1" })",
       StatusCode::kFailedPrecondition, "", "runs shop:1 already"},
      {R"(auto_scaling_group: "blue" to { launch_template: "shop" } strategy { rolling { max_percent: 99 } })",
       StatusCode::kInvalidArgument, "deployment.strategy.rolling.max_percent",
       "99 is not within 100-200"},
      {R"(auto_scaling_group: "blue" to { launch_template: "shop" } strategy { rolling { checkpoint_percents: [20, 20] } })",
       StatusCode::kInvalidArgument, "deployment.strategy.rolling.checkpoint_percents[1]",
       "20 must be above the one before it"},
      {R"(auto_scaling_group: "blue" to { launch_template: "shop" } strategy { canary { } })",
       StatusCode::kInvalidArgument, "deployment.strategy.canary.percent", "0 is not within 1-99"},
      {R"(auto_scaling_group: "blue" to { launch_template: "shop" } strategy { canary { percent: 5 } steps { traffic: 5 } })",
       StatusCode::kInvalidArgument, "deployment.strategy.steps", "does not go with"},
      {R"(auto_scaling_group: "blue" to { launch_template: "shop" } strategy { steps { traffic: 50 } steps { traffic: 5 } })",
       StatusCode::kInvalidArgument, "deployment.strategy.steps[1].traffic", "5 is below the 50"},
      {R"(auto_scaling_group: "blue" to { launch_template: "shop" } strategy { steps { traffic: 50 } steps { update { } } })",
       StatusCode::kInvalidArgument, "deployment.strategy.steps[1].update",
       "update does not go with traffic"},
      {R"(auto_scaling_group: "blue" to { launch_template: "shop" } strategy { steps { drain { } } })",
       StatusCode::kInvalidArgument, "deployment.strategy.steps[0].drain", "must be left out"},
      {R"(auto_scaling_group: "blue" to { launch_template: "shop" } strategy { steps { bake { } } })",
       StatusCode::kInvalidArgument, "deployment.strategy.steps[0].bake", "after traffic: 100"},
      {R"(auto_scaling_group: "blue" to { launch_template: "shop" } strategy { steps { } })",
       StatusCode::kInvalidArgument, "deployment.strategy.steps[0]", "must be one of"},
      {R"(auto_scaling_group: "blue" to { launch_template: "shop" } previews { listener_port: 80 })",
       StatusCode::kInvalidArgument, "deployment.previews[0].listener_port", "is for shifts"},
      {R"(auto_scaling_group: "blue" to { launch_template: "shop" } mirror { })",
       StatusCode::kInvalidArgument, "deployment.mirror.percent", "0 is not within 1-100"},
      {R"(auto_scaling_group: "blue" to { launch_template: "shop" } strategy { blue_green { bake { seconds: 86401 } } })",
       StatusCode::kInvalidArgument, "deployment.strategy.blue_green.bake", "is not within"},
      {R"(auto_scaling_group: "blue" to { launch_template: "shop" } health_deadline { })",
       StatusCode::kInvalidArgument, "deployment.health_deadline", "0 is not within 1s-24h"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.deployment);
    v1::CreateDeploymentRequest request;
    *request.mutable_deployment() = Parse<v1::Deployment>(c.deployment);
    ExpectError(Try(request), c.code, c.field, c.fragment);
  }
  const auto made = Deploy();
  EXPECT_EQ(made.name(), "deployments/blue-1");
  EXPECT_EQ(StageOf(made), Stage::kLaunching);
  EXPECT_EQ(made.from().resolved_version(), 1);
  EXPECT_EQ(made.to().resolved_version(), 2);
  EXPECT_EQ(made.health_deadline().seconds(), 600);
  EXPECT_TRUE(made.strategy().has_blue_green());
  EXPECT_EQ(Find<v1::AutoScalingGroup>("blue")->launch_template().resolved_version(), 1);
}

TEST_F(DeploymentsTest, OneDeploymentAGroup) {
  MakeVersion2();
  Deploy();
  auto another = Parse<v1::CreateDeploymentRequest>(
      R"(deployment { auto_scaling_group: "blue" to { launch_template: "shop" } })");
  ExpectError(Try(another), StatusCode::kFailedPrecondition, "",
              "deployments/blue-1 is under way (LAUNCHING)");
  const auto second = Deploy(/*supersede=*/true);
  EXPECT_EQ(second.name(), "deployments/blue-2");
  EXPECT_EQ(StageOf(*Find<v1::Deployment>("blue-1")), Stage::kRolledBack);
  EXPECT_EQ(Find<v1::Deployment>("blue-1")->rollback_reason(), "superseded by deployments/blue-2");
  EXPECT_TRUE(Find<v1::Deployment>("blue-1")->has_end_time());
  PutStage("blue-2", Stage::kShifting);
  another.set_supersede(true);
  EXPECT_TRUE(Try(another).ok()) << "in any stage: the next starts from what serves";
  // The template of the group waits for the deployment; the rest does not.
  ExpectError(
      Try(Parse<v1::UpdateAutoScalingGroupRequest>(
          R"(auto_scaling_group { name: "blue" launch_template { launch_template: "shop" version: "2" } } update_mask { paths: "launch_template" })")),
      StatusCode::kFailedPrecondition, "",
      "launch_template cannot change from shop:1 to shop:2 while deployments/blue-2");
  EXPECT_TRUE(Try(Parse<v1::UpdateAutoScalingGroupRequest>(
                      R"(auto_scaling_group { name: "blue" max: 9 } update_mask { paths: "max" })"))
                  .ok());
  ExpectError(Try(Parse<v1::DeleteLaunchTemplateVersionRequest>(
                  R"(name: "launchTemplates/shop/versions/2")")),
              StatusCode::kFailedPrecondition, "", "deployments/blue-2 refers to it");
  ExpectError(Try(Parse<v1::DeleteAutoScalingGroupRequest>(R"(name: "blue")")),
              StatusCode::kFailedPrecondition, "", "is under way");
}

// The version that serves may be wanted again while a deployment away from it is under way.
TEST_F(DeploymentsTest, SupersedeBackToWhatServes) {
  MakeVersion2();
  auto back = Parse<v1::CreateDeploymentRequest>(
      R"(deployment { auto_scaling_group: "blue" to { launch_template: "shop" version: "1" } } supersede: true)");
  ExpectError(Try(back), StatusCode::kFailedPrecondition, "", "runs shop:1 already");
  Deploy();
  const auto made = Do<v1::Deployment>(back);
  EXPECT_EQ(made.name(), "deployments/blue-2");
  EXPECT_EQ(made.to().resolved_version(), 1);
  EXPECT_EQ(LastActivity(), "Began deployments/blue-2: back to shop:1 | a person asked for it");
  EXPECT_EQ(StageOf(*Find<v1::Deployment>("blue-1")), Stage::kRolledBack);
  // There is nothing that its rollback could return to.
  PutStage("blue-2", Stage::kSucceeded);
  ExpectError(Try(Parse<v1::RollbackDeploymentRequest>(R"(name: "blue-2")")),
              StatusCode::kFailedPrecondition, "", "moved no traffic from shop:1");
}

TEST_F(DeploymentsTest, RollbackByPhase) {
  struct Case {
    Stage from;
    Stage to;
  };
  const Case cases[] = {
      {Stage::kLaunching, Stage::kBackDraining},    {Stage::kShifting, Stage::kBackLaunching},
      {Stage::kBaking, Stage::kBackLaunching},      {Stage::kDraining, Stage::kBackLaunching},
      {Stage::kBackShifting, Stage::kBackShifting},
  };
  MakeVersion2();
  Deploy();
  for (const Case& c : cases) {
    SCOPED_TRACE(StageText(c.from));
    PutStage("blue-1", c.from);
    EXPECT_EQ(StageOf(Do<v1::Deployment>(
                  Parse<v1::RollbackDeploymentRequest>(R"(name: "blue-1" reason: "errors")"))),
              c.to);
  }
  PutStage("blue-1", Stage::kRolledBack);
  ExpectError(Try(Parse<v1::RollbackDeploymentRequest>(R"(name: "deployments/blue-1")")),
              StatusCode::kFailedPrecondition, "", "is rolled back already");
  PutStage("blue-1", Stage::kFailed);
  ExpectError(Try(Parse<v1::RollbackDeploymentRequest>(R"(name: "deployments/blue-1")")),
              StatusCode::kFailedPrecondition, "",
              "could not be rolled back: a person asked for it: errors");
  ExpectError(Try(Parse<v1::PauseDeploymentRequest>(R"(name: "deployments/blue-1")")),
              StatusCode::kFailedPrecondition, "", "has ended: FAILED");
  ExpectError(Try(Parse<v1::RollbackDeploymentRequest>("name: \"blue-1\" reason: \"" +
                                                       std::string(256, 'x') + "\"")),
              StatusCode::kInvalidArgument, "reason", "at most 255");
}

TEST_F(DeploymentsTest, RollbackAfterTheEndIsANewDeployment) {
  MakeVersion2();
  Deploy();
  PutStage("blue-1", Stage::kSucceeded);
  ExpectError(Try(Parse<v1::RollbackDeploymentRequest>(R"(name: "blue-1")")),
              StatusCode::kFailedPrecondition, "", "runs shop:1 by now, not shop:2");
  Do<v1::AutoScalingGroup>(Parse<v1::UpdateAutoScalingGroupRequest>(
      R"(auto_scaling_group { name: "blue" launch_template { launch_template: "shop" version: "2" } } update_mask { paths: "launch_template" })"));
  const auto undo = Do<v1::Deployment>(Parse<v1::RollbackDeploymentRequest>(R"(name: "blue-1")"));
  EXPECT_EQ(undo.name(), "deployments/blue-2");
  EXPECT_EQ(undo.rollback_of(), "blue-1");
  EXPECT_EQ(undo.from().resolved_version(), 2);
  EXPECT_EQ(undo.to().resolved_version(), 1);
  EXPECT_EQ(StageOf(undo), Stage::kLaunching);
}

TEST_F(DeploymentsTest, ARollbackIsNotUndone) {
  MakeVersion2();
  Deploy();
  PutStage("blue-1", Stage::kSucceeded);
  Do<v1::AutoScalingGroup>(Parse<v1::UpdateAutoScalingGroupRequest>(
      R"(auto_scaling_group { name: "blue" launch_template { launch_template: "shop" version: "2" } } update_mask { paths: "launch_template" })"));
  Do<v1::Deployment>(Parse<v1::RollbackDeploymentRequest>(R"(name: "blue-1")"));
  // While it is under way it leads out of it.
  for (int twice = 0; twice < 2; ++twice) {
    const auto back = Do<v1::Deployment>(Parse<v1::RollbackDeploymentRequest>(R"(name: "blue-2")"));
    EXPECT_EQ(back.name(), "deployments/blue-2");
    EXPECT_EQ(StageOf(back), Stage::kBackDraining);
  }
  PutStage("blue-2", Stage::kSucceeded);
  ExpectError(Try(Parse<v1::RollbackDeploymentRequest>(R"(name: "blue-2")")),
              StatusCode::kFailedPrecondition, "", "is itself the rollback of deployments/blue-1");
}

TEST_F(DeploymentsTest, WhatARollbackNeedsIsNotDeleted) {
  MakeVersion2();
  Deploy();
  PutStage("blue-1", Stage::kSucceeded);
  v1::AutoScalingGroup group = *Find<v1::AutoScalingGroup>("blue");
  group.mutable_launch_template()->set_resolved_version(2);
  group.set_launch_template_set_by("blue-1");
  Draft draft(state_);
  draft.Put("blue", group);
  Commit(draft);
  Do<v1::LaunchTemplate>(Parse<v1::UpdateLaunchTemplateRequest>(
      R"(launch_template { name: "shop" default_version: 2 } update_mask { paths: "default_version" })"));
  ExpectError(Try(Parse<v1::DeleteLaunchTemplateVersionRequest>(
                  R"(name: "launchTemplates/shop/versions/1")")),
              StatusCode::kFailedPrecondition, "", "the rollback of deployments/blue-1");
  // Nor does a manifest undo what it set, unless told.
  const std::string manifest =
      R"(resources { auto_scaling_group { name: "blue" launch_template { launch_template: "shop" version: "1" } min: 1 max: 2 target_groups: "blue" } } )";
  const auto kept = Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(manifest));
  ASSERT_GE(kept.results(0).warnings_size(), 1);
  EXPECT_EQ(
      kept.results(0).warnings(0).find("launch_template stays shop:2, which deployments/blue-1"),
      0U);
  EXPECT_EQ(Find<v1::AutoScalingGroup>("blue")->launch_template().resolved_version(), 2);
  Do<v1::ApplyResourcesResponse>(
      Parse<v1::ApplyResourcesRequest>(manifest + "overwrite_deployed_template: true"));
  EXPECT_EQ(Find<v1::AutoScalingGroup>("blue")->launch_template().resolved_version(), 1);
  EXPECT_EQ(Find<v1::AutoScalingGroup>("blue")->launch_template_set_by(), "");
  Do<Empty>(Parse<v1::DeleteAutoScalingGroupRequest>(R"(name: "blue")"));
  EXPECT_EQ(Find<v1::Deployment>("blue-1"), nullptr) << "it goes with its group";
}

TEST_F(DeploymentsTest, PausePromoteResume) {
  MakeVersion2();
  Deploy();
  ExpectError(Try(Parse<v1::PromoteDeploymentRequest>(R"(name: "blue-1")")),
              StatusCode::kFailedPrecondition, "", "no wait to end");
  EXPECT_TRUE(Do<v1::Deployment>(Parse<v1::PauseDeploymentRequest>(R"(name: "blue-1")")).paused());
  EXPECT_FALSE(
      Do<v1::Deployment>(Parse<v1::ResumeDeploymentRequest>(R"(name: "blue-1")")).paused());
  PutStage("blue-1", Stage::kBaking);
  EXPECT_TRUE(
      Do<v1::Deployment>(Parse<v1::PromoteDeploymentRequest>(R"(name: "blue-1")")).promoted());
  PutStage("blue-1", Stage::kSucceeded);
  ExpectError(Try(Parse<v1::PauseDeploymentRequest>(R"(name: "blue-1")")),
              StatusCode::kFailedPrecondition, "", "has ended: SUCCEEDED");
}

// Those of the old side that stay until others of the new version serve are not too many.
TEST_F(DeploymentsTest, WhatServesInADeploymentIsReplacedBeforeItEnds) {
  MakeVersion2();
  Do<v1::AutoScalingGroup>(Parse<v1::UpdateAutoScalingGroupRequest>(
      R"(auto_scaling_group { name: "blue" max: 5 desired: 3 } update_mask { paths: "max" paths: "desired" })"));
  for (const char* id : {"i-1", "i-2", "i-3"}) {
    Put<v1::Instance>(
        id, absl::StrCat(R"(auto_scaling_group: "blue" host: "h1" state: INSTANCE_STATE_IN_SERVICE
              launch_template { launch_template: "shop" resolved_version: 1 } name: "instances/)",
                         id, "\""));
  }
  Put<v1::Instance>("i-4", R"(name: "instances/i-4" auto_scaling_group: "blue" host: "h1"
      state: INSTANCE_STATE_PENDING launch_template { launch_template: "shop" resolved_version: 2 })");
  Deploy();
  const auto asked = Do<v1::Instance>(Parse<v1::TerminateInstanceRequest>(R"(name: "i-1")"));
  EXPECT_EQ(asked.state(), v1::INSTANCE_STATE_IN_SERVICE);
  EXPECT_TRUE(asked.terminate_requested());
}

TEST_F(DeploymentsTest, OldDeploymentsAreForgotten) {
  MakeVersion2();
  for (int i = 1; i <= 103; ++i) {
    Deploy();
    PutStage("blue-" + std::to_string(i), Stage::kRolledBack);
  }
  Deploy();
  EXPECT_EQ(Find<v1::Deployment>("blue-3"), nullptr);
  EXPECT_NE(Find<v1::Deployment>("blue-4"), nullptr);
  EXPECT_EQ(state_.All<v1::Deployment>().size(), 101U);
}

// A second target group with a group of its own, behind the same listener or not yet.
constexpr char kGreen[] = R"(
  resources { target_group { name: "green" protocol: PROTOCOL_HTTP health_check { path: "/health" } } }
  resources { auto_scaling_group { name: "green" launch_template { launch_template: "shop" version: "1" } min: 0 max: 2
    target_groups: "green" } })";
constexpr char kShiftToGreen[] =
    R"(deployment { shift { listener: "loadBalancers/shop/listeners/8080" to_target_group: "green" scale_groups: true } )";

TEST_F(DeploymentsTest, AShiftNamesBothGroupsAndHasItsPreviews) {
  Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(kGreen));
  const auto made = Do<v1::Deployment>(Parse<v1::CreateDeploymentRequest>(
      std::string(kShiftToGreen) +
      R"(previews { cookie { name: "beta" value: "1.0" } } previews { listener_port: 8081 } })"));
  EXPECT_EQ(made.name(), "deployments/shop-1");
  EXPECT_EQ(made.shift().from_target_group(), "blue");
  EXPECT_EQ(made.shift().from_auto_scaling_group(), "blue");
  EXPECT_EQ(made.shift().to_auto_scaling_group(), "green");
  ASSERT_EQ(made.shift().preview_resources_size(), 2);
  const auto lb = *Find<v1::LoadBalancer>("shop");
  ASSERT_EQ(lb.listeners_size(), 2);
  EXPECT_EQ(lb.listeners(1).port(), 8081);
  const auto& action = lb.listeners(0).default_action().forward();
  ASSERT_EQ(action.target_groups_size(), 2);
  EXPECT_EQ(action.target_groups(1).target_group(), "green");
  EXPECT_EQ(action.target_groups(1).weight(), 0);
  ASSERT_EQ(lb.listeners(0).rules_size(), 2);
  EXPECT_EQ(lb.listeners(0).rules(1).priority(), 11) << "after those of the user";
  // While it is under way the action is its own.
  ExpectError(Try(Parse<v1::ApplyResourcesRequest>(kLab)), StatusCode::kInvalidArgument,
              "resources[0].load_balancer", "deployments/shop-1 moves the traffic");
  ExpectError(Try(Parse<v1::DeleteLoadBalancerRequest>(R"(name: "shop")")),
              StatusCode::kFailedPrecondition, "", "deployments/shop-1 moves traffic");
  ExpectError(Try(Parse<v1::CreateDeploymentRequest>(std::string(kShiftToGreen) + "}")),
              StatusCode::kFailedPrecondition, "", "is under way");
  EXPECT_EQ(Do<v1::Deployment>(Parse<v1::AbortDeploymentRequest>(R"(name: "shop-1")")).state(),
            v1::DEPLOYMENT_STATE_ROLLING_BACK);
}

TEST_F(DeploymentsTest, AShiftThatCannotBeIsRefused) {
  Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(kGreen));
  struct Case {
    const char* deployment;
    StatusCode code;
    const char* field;
    const char* fragment;
  };
  const Case cases[] = {
      {R"(shift { to_target_group: "green" })", StatusCode::kInvalidArgument, "deployment.shift",
       "must name a listener or a rule"},
      {R"(shift { listener: "loadBalancers/shop/listeners/1" to_target_group: "green" })",
       StatusCode::kNotFound, "", "listeners/1"},
      {R"(shift { listener: "loadBalancers/shop/listeners/8080" to_target_group: "blue" })",
       StatusCode::kInvalidArgument, "deployment.shift.to_target_group",
       "blue has all of the traffic already"},
      {R"(shift { listener: "loadBalancers/shop/listeners/8080" to_target_group: "red" })",
       StatusCode::kInvalidArgument, "deployment.shift.to_target_group", "there is no"},
      {R"(shift { rule: "loadBalancers/shop/listeners/8080/rules/10" to_target_group: "green" })",
       StatusCode::kInvalidArgument, "deployment.shift", "does not forward"},
      {R"(shift { listener: "loadBalancers/shop/listeners/8080" to_target_group: "green" } strategy { in_place { } })",
       StatusCode::kInvalidArgument, "deployment.strategy.in_place", "is of a group's instances"},
      {R"(shift { listener: "loadBalancers/shop/listeners/8080" to_target_group: "green" } mirror { percent: 5 })",
       StatusCode::kInvalidArgument, "deployment.mirror", "not of a shift"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.deployment);
    v1::CreateDeploymentRequest request;
    *request.mutable_deployment() = Parse<v1::Deployment>(c.deployment);
    ExpectError(Try(request), c.code, c.field, c.fragment);
  }
}

TEST_F(DeploymentsTest, AnUnchangedManifestDoesNotUndoAShift) {
  Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(kGreen));
  Do<v1::Deployment>(Parse<v1::CreateDeploymentRequest>(std::string(kShiftToGreen) + "}"));
  v1::LoadBalancer shifted = *Find<v1::LoadBalancer>("shop");
  auto& action = *shifted.mutable_listeners(0)->mutable_default_action()->mutable_forward();
  action.mutable_target_groups(0)->set_weight(0);
  action.mutable_target_groups(1)->set_weight(1);
  Draft draft(state_);
  draft.Put("shop", shifted);
  Commit(draft);
  PutStage("shop-1", Stage::kSucceeded);
  const auto kept = Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(kLab));
  ASSERT_GE(kept.results(0).warnings_size(), 1);
  EXPECT_THAT(kept.results(0).warnings(0), testing::HasSubstr("stays with target group green"));
  EXPECT_EQ(Find<v1::LoadBalancer>("shop")
                ->listeners(0)
                .default_action()
                .forward()
                .target_groups(1)
                .weight(),
            1);
}

TEST_F(DeploymentsTest, AManifestDeploysByTheGroupsSettings) {
  const std::string settings = R"(
    resources { auto_scaling_group { name: "blue" launch_template { launch_template: "shop" } min: 1 max: 2
      target_groups: "blue" deployment { strategy { canary { percent: 10 } } } } })";
  const auto none = Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(settings));
  EXPECT_EQ(none.results(0).deployment(), "") << "it runs the newest already";
  const std::string other = R"(
    resources { launch_template { name: "shop" image: "shop-v1" command: "node" command: "other.js" port: 8000 } })";
  const auto begun =
      Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(settings + other));
  EXPECT_EQ(begun.results(0).deployment(), "blue-1");
  const auto row = *Find<v1::Deployment>("blue-1");
  EXPECT_EQ(row.to().resolved_version(), 2);
  EXPECT_EQ(row.strategy().canary().percent(), 10);
  EXPECT_EQ(Find<v1::AutoScalingGroup>("blue")->launch_template().resolved_version(), 1)
      << "until it has succeeded";
  const auto again =
      Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(settings + other));
  EXPECT_EQ(again.results(0).deployment(), "blue-1") << "the same one";
  PutStage("blue-1", Stage::kRolledBack);
  const auto failed =
      Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(settings + other));
  EXPECT_EQ(failed.results(0).deployment(), "");
  ASSERT_GE(failed.results(0).warnings_size(), 1);
  EXPECT_THAT(failed.results(0).warnings(0), testing::HasSubstr("nothing has changed since"));
}

TEST_F(DeploymentsTest, WhatFailedIsTriedAgainUnlessNothingHasChanged) {
  MakeVersion2();
  Deploy();
  PutStage("blue-1", Stage::kRolledBack);
  const std::string wish =
      R"(deployment { auto_scaling_group: "blue" to { launch_template: "shop" } } )";
  ExpectError(Try(Parse<v1::CreateDeploymentRequest>(wish + "refuse_failed: true")),
              StatusCode::kFailedPrecondition, "", "deployments/blue-1 deployed shop:2");
  EXPECT_EQ(Do<v1::Deployment>(Parse<v1::CreateDeploymentRequest>(wish)).name(),
            "deployments/blue-2");
}

TEST_F(DeploymentsTest, ApprovalsAreGivenByName) {
  MakeVersion2();
  Do<v1::Deployment>(Parse<v1::CreateDeploymentRequest>(
      R"(deployment { auto_scaling_group: "blue" to { launch_template: "shop" }
        strategy { steps { traffic: 10 } steps { approval { name: "qa" } } } })"));
  ExpectError(Try(Parse<v1::ApproveDeploymentRequest>(R"(name: "blue-1")")),
              StatusCode::kFailedPrecondition, "", "waits for no approval");
  PutStage("blue-1", Stage::kHolding);
  ExpectError(Try(Parse<v1::PromoteDeploymentRequest>(R"(name: "blue-1")")),
              StatusCode::kFailedPrecondition, "", "waits for an approval");
  ExpectError(Try(Parse<v1::ApproveDeploymentRequest>(R"(name: "blue-1" approval: "security")")),
              StatusCode::kFailedPrecondition, "", "waits for the approval `qa`");
  EXPECT_TRUE(
      Do<v1::Deployment>(Parse<v1::ApproveDeploymentRequest>(R"(name: "blue-1" approval: "qa")"))
          .approved());
  EXPECT_EQ(Do<v1::Deployment>(
                Parse<v1::ApproveDeploymentRequest>(R"(name: "blue-1" reject: true reason: "no")"))
                .state(),
            v1::DEPLOYMENT_STATE_ROLLING_BACK);
}

}  // namespace
}  // namespace remuda::core
