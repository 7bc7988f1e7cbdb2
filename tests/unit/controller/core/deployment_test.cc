// Blue/green: no stage before every live proxy has confirmed the one before; rollback from each
// stage.
#include "tests/unit/controller/core/deploy_fixture.h"
#include "tests/unit/controller/core/stages.h"

namespace remuda::core {
namespace {

using ::testing::AnyOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(Deploy, TakesEachStepOnlyWhenEveryProxyHasConfirmedTheOneBefore) {
  Create(2);
  ASSERT_THAT(Pending("blue"), SizeIs(2));
  EXPECT_THAT(InService("blue"), SizeIs(2)) << "blue stays";
  NewOnesAreHealthy();
  EXPECT_EQ(Split(), (std::map<std::string, int>{{"blue/shop:1", 1}, {"blue/shop:2", 0}}));
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching) << "nobody has confirmed";
  EXPECT_THAT(Waiting(), HasSubstr("p1 has not confirmed"));
  seen.proxies["p1"].confirmed_commit = state.commit();
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching) << "p2 has not confirmed";
  EXPECT_THAT(Waiting(), HasSubstr("p2 has not confirmed"));
  Confirm();
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kShifting);
  EXPECT_EQ(Split(), (std::map<std::string, int>{{"blue/shop:1", 0}, {"blue/shop:2", 1}}));
  Advance(absl::Seconds(1));
  EXPECT_EQ(StageOf(Row()), Stage::kShifting);
  Confirm();
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kBaking);
  EXPECT_EQ(Get<v1::AutoScalingGroup>("blue").launch_template().resolved_version(), 1);
  Confirm();
  Advance(absl::Seconds(29));
  EXPECT_EQ(StageOf(Row()), Stage::kBaking);
  EXPECT_THAT(InService("blue"), SizeIs(4)) << "the old stays warm";
  Advance(absl::Seconds(1));
  EXPECT_EQ(StageOf(Row()), Stage::kDraining);
  EXPECT_EQ(Get<v1::AutoScalingGroup>("blue").launch_template().resolved_version(), 2);
  Settle();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_TERMINATED), SizeIs(2));
  EXPECT_EQ(LastActivity("Deploying").status(), v1::ACTIVITY_STATUS_SUCCESSFUL);
}

TEST_F(Deploy, OneProxyThatDoesNotFindANewOneHealthyHoldsTheShift) {
  Create(2);
  const auto ids = Pending("blue");
  NewOnesAreHealthy();
  Finds("p2", "tg", ids[1], v1::TARGET_STATE_INITIAL);
  Confirm();
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching);
  EXPECT_THAT(Waiting(), HasSubstr("proxy p2 does not find " + ids[1] + " healthy"));
}

TEST_F(Deploy, ARefusedConfigBlocksAndIsNamed) {
  Create(2);
  NewOnesAreHealthy();
  auto& config = seen.proxies["p2"].config;
  config.mutable_rejected()->set_sequence(9);
  config.set_rejected_resource("targetGroups/tg");
  config.set_rejected_reason("port 8080 is in use");
  Confirm();
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching);
  EXPECT_THAT(Waiting(), AllOf(HasSubstr("p2 refused"), HasSubstr("port 8080 is in use")));
}

TEST_F(Deploy, PausedTakesNoStepButKeepsBothSides) {
  Create(2, [](auto& row) { row.set_paused(true); });
  NewOnesAreHealthy();
  Confirm();
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching);
  Advance(absl::Seconds(20));
  Killed(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE)[0]);
  Step();
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_PENDING), SizeIs(1));
}

TEST_F(Deploy, PromoteEndsTheBake) {
  Create(2);
  UntilStage(Stage::kBaking);
  Edit<v1::Deployment>("blue-1", [](auto& row) { row.set_promoted(true); });
  Confirm();
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kDraining);
}

TEST_F(Deploy, RollsBackByItselfWhenTheDeadlineIsOver) {
  Create(3);
  for (const std::string& id : Pending("blue")) Runs(id);
  Step();
  for (const std::string& id : Pending("blue")) {
    for (const char* proxy : {"p1", "p2"}) Finds(proxy, "tg", id, v1::TARGET_STATE_INITIAL);
  }
  Confirm();
  Advance(absl::Seconds(599));
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching);
  Advance(absl::Seconds(1));
  EXPECT_EQ(StageOf(Row()), Stage::kBackDraining);
  EXPECT_THAT(Row().rollback_reason(), HasSubstr("0 of 2 instances of shop:3 are ready"));
  Settle();
  EXPECT_EQ(StageOf(Row()), Stage::kRolledBack);
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
  EXPECT_EQ(LastActivity("Deploying").status(), v1::ACTIVITY_STATUS_FAILED);
}

TEST_F(Deploy, WhatItWaitsForNamesTheReasonThatItsInstancesAreNotHealthy) {
  Create(3);
  const std::vector<std::string> ids = Pending("blue");
  for (const std::string& id : ids) Runs(id);
  Step();
  for (const std::string& id : ids) {
    for (const char* proxy : {"p1", "p2"}) Finds(proxy, "tg", id, v1::TARGET_STATE_UNHEALTHY);
  }
  Confirm();
  Step();
  const std::string why =
      "0 of 2 instances of shop:3 are ready; 2 instances are not healthy, for "
      "example " +
      ids[0] +
      ": its health check in target group tg failed: "
      "Target.Timeout";
  EXPECT_EQ(Waiting(), why);
  Edit<v1::AutoScalingGroup>("blue", [](auto& row) {
    *row.mutable_health_check_grace_period() = ToProto(absl::Hours(1));
  });
  Advance(absl::Seconds(600));
  EXPECT_EQ(Row().rollback_reason(), "not in service and confirmed within 10m: " + why);
}

TEST_F(Deploy, WhatKeepsLaunchesBackIsToldBesideInstancesThatAreNotHealthy) {
  Create(3);
  const std::string sick = Pending("blue")[0];
  Runs(sick);
  Step();
  for (const char* proxy : {"p1", "p2"}) Finds(proxy, "tg", sick, v1::TARGET_STATE_UNHEALTHY);
  // The other fails twice: its next launch waits.
  for (int i = 0; i < 2; ++i) {
    for (const std::string& id : Pending("blue")) {
      if (id == sick) continue;
      Runs(id);
      Step();
      Killed(id, 6);
      Step();
    }
  }
  Confirm();
  Step();
  EXPECT_THAT(Waiting(), AllOf(HasSubstr(sick + " is not healthy"),
                               HasSubstr("2 launches of shop:3 failed in a row")));
}

TEST_F(Deploy, RollsBackByItselfWhenTheNewVersionCrashLoops) {
  Create(3);
  for (int i = 0; i < 8 && StageOf(Row()) == Stage::kLaunching; ++i) {
    for (const std::string& id : Pending("blue")) {
      Runs(id);
      Step();
      Killed(id, 6);
      Step();
    }
    Advance(absl::Seconds(5));
  }
  EXPECT_EQ(StageOf(Row()), Stage::kRolledBack);
  EXPECT_THAT(Row().rollback_reason(),
              ContainsRegex("launches of shop:3 failed in a row; the last, i-[0-9a-f]{10}: its "
                            "process was ended by signal 6"));
}

TEST_F(Deploy, WaitsForAPersonWhenAutomaticRollbackIsOff) {
  Create(3, [](auto& row) { row.set_automatic_rollback(false); });
  Confirm();
  Advance(absl::Seconds(700));
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching);
  EXPECT_THAT(Waiting(), HasSubstr("not in service and confirmed within"));
}

TEST_F(Deploy, AnUnhealthyNewVersionEndsTheBake) {
  Create(2);
  UntilStage(Stage::kBaking);
  for (const std::string& id : OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE)) {
    for (const char* proxy : {"p1", "p2"}) Finds(proxy, "tg", id, v1::TARGET_STATE_UNHEALTHY);
  }
  Step();
  EXPECT_THAT(StageOf(Row()), AnyOf(Stage::kBackLaunching, Stage::kBackShifting));
  EXPECT_THAT(Row().rollback_reason(), HasSubstr("only 0 of 2"));
  UntilStage(Stage::kRolledBack);
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
}

TEST_F(Deploy, RollsBackFromEveryPhase) {
  for (const auto stage : {Stage::kLaunching, Stage::kShifting, Stage::kBaking, Stage::kDraining}) {
    SCOPED_TRACE(StageText(stage));
    Create(2);
    UntilStage(stage);
    Rollback();
    UntilStage(Stage::kRolledBack);
    Settle();
    EXPECT_EQ(Get<v1::AutoScalingGroup>("blue").launch_template().resolved_version(), 1);
    EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
    EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), IsEmpty());
    EXPECT_EQ(Split(), (std::map<std::string, int>{{"blue/shop:1", 1}}));
    Advance(absl::Hours(2));
  }
}

TEST_F(Deploy, ARollbackTakesDrainingInstancesBack) {
  Create(2);
  UntilStage(Stage::kDraining);
  const auto draining = OfVersion(1, v1::INSTANCE_STATE_DRAINING);
  ASSERT_THAT(draining, SizeIs(2));
  Rollback();
  EXPECT_EQ(OfVersion(1, v1::INSTANCE_STATE_PENDING).size() +
                OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE).size(),
            2u);
  EXPECT_EQ(StageOf(Row()), Stage::kBackLaunching) << "not confirmed yet";
  EXPECT_EQ(Split().at("blue/shop:2"), 1);
}

TEST_F(Deploy, ARollbackLeavesWhatAPersonEnded) {
  Create(2);
  UntilStage(Stage::kBaking);
  const std::string asked = OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE)[0];
  Edit<v1::Instance>(asked, [](auto& row) {  // as TerminateInstance does
    row.set_terminate_requested(true);
    row.set_state(v1::INSTANCE_STATE_DRAINING);
  });
  Rollback();
  EXPECT_EQ(Get<v1::Instance>(asked).state(), v1::INSTANCE_STATE_DRAINING);
  UntilStage(Stage::kRolledBack);
  Settle();
  EXPECT_EQ(Get<v1::Instance>(asked).state(), v1::INSTANCE_STATE_TERMINATED);
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
}

TEST_F(Deploy, ARollbackTakesNoneBackInPlaceOfOneWhoseHostIsSilent) {
  Host("h3");
  Edit<v1::AutoScalingGroup>("blue", [](auto& row) { row.set_max(3); });
  Desired("blue", 3);
  Settle();
  Create(2);
  UntilStage(Stage::kBaking);
  Desired("blue", 2);
  Step();
  const auto draining = OfVersion(1, v1::INSTANCE_STATE_DRAINING);
  ASSERT_THAT(draining, SizeIs(1));
  const std::string there = OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE)[0];
  Silence(Get<v1::Instance>(there).host());
  Advance(absl::Seconds(10));
  ASSERT_EQ(Get<v1::Instance>(there).state(), v1::INSTANCE_STATE_UNKNOWN);
  ASSERT_EQ(StageOf(Row()), Stage::kBaking);
  Rollback();
  EXPECT_EQ(Get<v1::Instance>(draining[0]).state(), v1::INSTANCE_STATE_DRAINING)
      << "the silent one counts until it is given up";
}

TEST_F(Deploy, ARollbackDoesNotWaitForMoreThanThereIsRoomFor) {
  Create(2);
  UntilStage(Stage::kBaking);
  Edit<v1::AutoScalingGroup>("blue", [](auto& row) {
    row.set_max(3);
    row.set_desired(3);  // of a fixed port on two hosts
  });
  Rollback();
  UntilStage(Stage::kRolledBack);
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
}

TEST_F(Deploy, ThatOfAGroupWhichIsDeletedEndsAndGoesWithIt) {
  Create(2);
  UntilStage(Stage::kBaking);
  Edit<v1::AutoScalingGroup>("blue", [](auto& row) {  // as a delete with force does
    row.set_deleting(true);
    row.set_min(0);
    row.set_desired(0);
  });
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kRolledBack);
  EXPECT_EQ(Row().rollback_reason(), "the group is being deleted");
  EXPECT_EQ(LastActivity("Deploying").status(), v1::ACTIVITY_STATUS_FAILED);
  Settle();
  ASSERT_NE(state.Find<v1::Deployment>("blue-1"), nullptr) << "who watches it sees its end";
  ASSERT_NE(state.Find<v1::AutoScalingGroup>("blue"), nullptr);
  Advance(absl::Seconds(1));
  EXPECT_EQ(state.Find<v1::Deployment>("blue-1"), nullptr);
  EXPECT_EQ(state.Find<v1::AutoScalingGroup>("blue"), nullptr);
  EXPECT_TRUE(state.All<v1::Instance>().empty());
}

TEST_F(Deploy, ThatOfAGroupWhichIsNotThereGoes) {
  v1::Deployment orphan;
  orphan.set_name("deployments/green-1");
  orphan.set_auto_scaling_group("green");
  orphan.mutable_to()->set_resolved_version(2);
  SetStage(orphan, Stage::kBaking);
  Put("green-1", orphan);
  Create(2);
  EXPECT_EQ(state.Find<v1::Deployment>("green-1"), nullptr);
  EXPECT_NE(state.Find<v1::Deployment>("blue-1"), nullptr);
}

TEST_F(Deploy, ScalingHoldsForBothSides) {
  Create(2);
  UntilStage(Stage::kBaking);
  Desired("blue", 1);
  Settle();
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(1));
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(1));
}

TEST_F(Deploy, WithNothingDesiredItGoesThroughOnConfirmationAlone) {
  Edit<v1::AutoScalingGroup>("blue", [](auto& row) {
    row.set_min(0);
    row.set_desired(0);
  });
  Settle();
  Create(2);
  UntilStage(Stage::kSucceeded);
  EXPECT_EQ(Get<v1::AutoScalingGroup>("blue").launch_template().resolved_version(), 2);
}

TEST_F(Deploy, InstancesOfASupersededDeploymentAreDrainedAndNeverServe) {
  Create(2);
  NewOnesAreHealthy();
  Supersede(3);
  EXPECT_EQ(Split(), (std::map<std::string, int>{{"blue/shop:1", 1}, {"blue/shop:2", 0}}));
  Step();
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_DRAINING), SizeIs(2));
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
  EXPECT_THAT(OfVersion(3, v1::INSTANCE_STATE_PENDING), SizeIs(2));
}

}  // namespace
}  // namespace remuda::core
