// Deployments of groups that run several versions: what serves keeps its share until the new
// instances are confirmed; and what operators ask for at odd moments.
#include "controller/core/deployment/begins_from.h"
#include "controller/core/model/instance_state.h"
#include "tests/unit/controller/core/deploy_fixture.h"
#include "tests/unit/controller/core/stages.h"

namespace remuda::core {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;

class Mixed : public Deploy {
 protected:
  // One instance of shop:1 in service, and one of `version` in its other's place.
  void HalfRuns(int version) {
    Refer(version);
    Killed(InService("blue")[0]);
    Settle();
    ASSERT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(1));
    ASSERT_THAT(OfVersion(version, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(1));
  }
  // The same, with one that ends at each start.
  void HalfCrashes(int version) {
    Refer(version);
    Killed(InService("blue")[0]);
    Step();
    CrashPending();
    ASSERT_THAT(InService("blue"), SizeIs(1));
  }
  void CrashPending() {
    for (const std::string& id : Pending("blue")) {
      Runs(id);
      Step();
      Killed(id, 6);
      Step();
    }
  }
};

TEST_F(Mixed, EachInstanceInServiceHasTheSameShareWithoutADeployment) {
  HalfRuns(2);
  EXPECT_EQ(Split(), (std::map<std::string, int>{{"blue/shop:1", 1}, {"blue/shop:2", 1}}));
  const auto shown = Describe(Draft(state), seen, now, Get<v1::AutoScalingGroup>("blue")).status();
  ASSERT_EQ(shown.running_versions_size(), 2);
  EXPECT_EQ(shown.running_versions(0).serving(), 1);
  ASSERT_EQ(shown.warnings_size(), 1);
  EXPECT_THAT(shown.warnings(0),
              AllOf(HasSubstr("new instances run shop:2"), HasSubstr("1 of shop:1")));
}

TEST_F(Mixed, WhatServesGoesOnWhileItIsDeployedBackTo) {
  HalfCrashes(2);
  const std::string healthy = InService("blue")[0];
  Create(1);
  EXPECT_EQ(Row().from().resolved_version(), 2);
  EXPECT_EQ(Shares().at(healthy), 60) << "it had all, and has all";
  NewOnesAreHealthy();
  const auto fresh = OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE);
  ASSERT_THAT(fresh, SizeIs(2)) << "one comes beside the one that serves";
  EXPECT_EQ(Shares().at(healthy), 60);
  EXPECT_EQ(Shares().at(fresh[1]), 0) << "not before it is confirmed";
  UntilStage(Stage::kSucceeded);
  EXPECT_THAT(Shares(), Each(Pair(::testing::_, ::testing::Gt(0))));
  EXPECT_EQ(Get<v1::Instance>(healthy).state(), v1::INSTANCE_STATE_IN_SERVICE);
  EXPECT_EQ(Get<v1::AutoScalingGroup>("blue").launch_template().resolved_version(), 1);
}

TEST_F(Mixed, EveryVersionKeepsItsShareUntilTheShift) {
  HalfRuns(2);
  const auto before = Shares();
  ASSERT_THAT(before, SizeIs(2));
  for (const int to : {1, 2, 3}) {
    SCOPED_TRACE(to);
    Create(to);
    NewOnesAreHealthy();
    for (const auto& [id, share] : before) EXPECT_EQ(Shares()[id], share) << id;
    Rollback();
    UntilStage(Stage::kRolledBack);
    Settle();
    EXPECT_EQ(Shares(), before) << "a rollback ends only what the deployment launched";
    Advance(absl::Hours(2));
  }
}

TEST_F(Mixed, TheReferenceMovedAndADeploymentFollows) {
  Refer(2);  // as `apply` of another version does
  Create(2);
  EXPECT_EQ(Row().from().resolved_version(), 1) << "what runs, not what is referred to";
  UntilStage(Stage::kSucceeded);
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
  EXPECT_EQ(Get<v1::AutoScalingGroup>("blue").launch_template_set_by(), "blue-1");
}

TEST_F(Mixed, ARollbackOfItRefersToWhatRuns) {
  Refer(2);
  Create(2);
  Rollback();
  UntilStage(Stage::kRolledBack);
  EXPECT_EQ(Get<v1::AutoScalingGroup>("blue").launch_template().resolved_version(), 1);
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
}

TEST_F(Mixed, WhenNothingServesTheFirstNewOneIsBetter) {
  Create(2);
  for (const std::string& id : OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE)) Killed(id);
  Step();
  Runs(OfVersion(2, v1::INSTANCE_STATE_PENDING)[0]);
  Step();
  for (const char* proxy : {"p1", "p2"}) {
    Finds(proxy, "tg", OfVersion(2, v1::INSTANCE_STATE_PENDING)[0], v1::TARGET_STATE_HEALTHY);
  }
  Step();
  Confirm();
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kShifting);
  Confirm();
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kBaking) << "what is still to come is not lost";
}

TEST_F(Mixed, ASupersedingDeploymentStartsFromWhatServes) {
  for (const auto stage : {Stage::kLaunching, Stage::kShifting, Stage::kBaking, Stage::kDraining}) {
    SCOPED_TRACE(StageText(stage));
    Create(2);
    UntilStage(stage);
    const auto before = Shares();
    v1::Deployment next = Row();
    Edit<v1::Deployment>("blue-1", [&](auto& row) {
      SetStage(row, Stage::kRolledBack);
      *row.mutable_end_time() = ToProto(now);
    });
    next.set_name("deployments/blue-2");
    SetStage(next, Stage::kLaunching);
    next.mutable_to()->set_resolved_version(3);
    *next.mutable_from() =
        RunsBeside(Draft(state), "blue", Get<v1::AutoScalingGroup>("blue"), next.to());
    next.clear_activity();
    Put("blue-2", next);
    Step();
    for (const auto& [id, share] : before) {
      if (share == 0) continue;
      EXPECT_EQ(Shares()[id], share) << id;
    }
    // Back to where the next round begins.
    Edit<v1::Deployment>("blue-2", [](auto& row) { SetStage(row, Stage::kBackDraining); });
    Settle();
    EXPECT_EQ(StageOf(Get<v1::Deployment>("blue-2")), Stage::kRolledBack);
    Refer(1);
    if (OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE).empty()) {
      Create(1);
      UntilStage(Stage::kSucceeded);
    }
    Settle();
    ASSERT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
    Advance(absl::Hours(2));
  }
}

TEST_F(Mixed, AFailedVersionMayBeTriedAgain) {
  Create(3);
  for (int i = 0; i < 8 && StageOf(Row()) == Stage::kLaunching; ++i) {
    CrashPending();
    Advance(absl::Seconds(5));
  }
  UntilStage(Stage::kRolledBack);
  v1::Deployment again = Row();
  again.set_name("deployments/blue-2");
  SetStage(again, Stage::kLaunching);
  *again.mutable_create_time() = ToProto(now);
  again.clear_rollback_reason();
  again.clear_end_time();
  Put("blue-2", again);
  Step();
  EXPECT_EQ(StageOf(Get<v1::Deployment>("blue-2")), Stage::kLaunching);
  EXPECT_THAT(OfVersion(3, v1::INSTANCE_STATE_PENDING), SizeIs(2)) << "at once: it counts its own";
}

TEST_F(Mixed, InstancesJustAskedForInABakeHaveNotFailed) {
  Edit<v1::AutoScalingGroup>("blue", [](auto& row) { row.set_max(6); });
  for (const char* host : {"h3", "h4", "h5", "h6"}) Host(host);
  Step();
  Create(2);
  UntilStage(Stage::kBaking);
  Desired("blue", 6);
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kBaking);
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_PENDING), SizeIs(4));
  for (const std::string& id : OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE)) Killed(id);
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kBaking) << "two of six";
}

TEST_F(Mixed, ScalingDownInTheMiddleEndsWhatDoesNotServe) {
  HalfRuns(2);
  const std::string kept = OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE)[0];
  Create(1);
  NewOnesAreHealthy();
  Desired("blue", 1);
  Settle();
  EXPECT_EQ(Get<v1::Instance>(kept).state(), v1::INSTANCE_STATE_IN_SERVICE);
}

// What of the new version serves already lets the old side shrink; not what is silent, in whose
// place others have come.
TEST_F(Mixed, ASilentInstanceOfTheNewVersionEndsNoneOfTheOld) {
  HalfRuns(2);
  Host("h3");
  Refer(1);
  const std::string silent = OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE)[0];
  Silence(Get<v1::Instance>(silent).host());
  Advance(absl::Seconds(10));
  Advance(absl::Seconds(5));
  Settle();
  ASSERT_EQ(Get<v1::Instance>(silent).state(), v1::INSTANCE_STATE_UNKNOWN);
  const auto serving = OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE);
  ASSERT_THAT(serving, SizeIs(2));
  Create(2);
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching);
  EXPECT_EQ(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), serving);
}

TEST_F(Mixed, OneThatIsReplacedServesUntilItsReplacementOfTheNewVersionDoes) {
  for (const char* host : {"h3", "h4", "h5", "h6"}) Host(host);
  Edit<v1::AutoScalingGroup>("blue", [](auto& row) { row.set_max(4); });
  Desired("blue", 3);
  Settle();
  Refer(2);
  const std::string asked = InService("blue")[0];
  Edit<v1::Instance>(asked, [](auto& row) { row.set_terminate_requested(true); });
  Step();
  ASSERT_THAT(OfVersion(2, v1::INSTANCE_STATE_PENDING), SizeIs(1));
  Create(2);
  ASSERT_EQ(StageOf(Row()), Stage::kLaunching);
  EXPECT_EQ(Get<v1::Instance>(asked).state(), v1::INSTANCE_STATE_IN_SERVICE);
  NewOnesAreHealthy();
  EXPECT_EQ(Get<v1::Instance>(asked).state(), v1::INSTANCE_STATE_DRAINING);
}

// One of the new version that is to be ended does not let an old one go: its replacement is kept
// from traffic until the shift.
TEST_F(Mixed, WhatIsAboutToGoStandsForNothingThatServes) {
  for (const char* host : {"h3", "h4", "h5", "h6"}) Host(host);
  Edit<v1::AutoScalingGroup>("blue", [](auto& row) { row.set_max(5); });
  Desired("blue", 3);
  Settle();
  Refer(2);
  Killed(InService("blue")[0]);
  Settle();
  Refer(1);
  Desired("blue", 4);
  Settle();
  const auto incumbents = OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE);
  ASSERT_THAT(incumbents, SizeIs(3));
  Edit<v1::Instance>(incumbents[0], [](auto& row) { row.set_terminate_requested(true); });
  Desired("blue", 3);
  Create(1);
  NewOnesAreHealthy();
  ASSERT_EQ(StageOf(Row()), Stage::kLaunching);
  int serving = 0;
  for (const auto& [id, row] : state.All<v1::Instance>()) serving += IsServing(*row);
  EXPECT_EQ(serving, 3);
  UntilStage(Stage::kSucceeded);
}

TEST_F(Mixed, AClockThatWasSetBackMakesNoBakeLonger) {
  Create(2);
  UntilStage(Stage::kBaking);
  Advance(-absl::Hours(2));
  EXPECT_EQ(StageOf(Row()), Stage::kBaking);
  Confirm();
  Advance(absl::Seconds(31));
  EXPECT_EQ(StageOf(Row()), Stage::kDraining);
}

class Worker : public Mixed {
 protected:
  Worker() {
    Edit<v1::AutoScalingGroup>("blue", [](auto& row) { row.clear_target_groups(); });
    Settle();
  }
};

TEST_F(Worker, ANewVersionThatDiesSoonIsNotDeployed) {
  Create(2, [](auto& row) { row.mutable_strategy()->mutable_blue_green()->clear_bake(); });
  for (int i = 0; i < 10 && StageOf(Row()) != Stage::kRolledBack; ++i) {
    for (const std::string& id : Pending("blue")) Runs(id);
    Step();
    Confirm();
    Advance(absl::Milliseconds(1500));
    EXPECT_THAT(StageOf(Row()), AnyOf(Stage::kLaunching, Stage::kBackDraining));
    for (const std::string& id : OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE)) Killed(id);
    Advance(absl::Seconds(3));
  }
  Settle();
  EXPECT_EQ(StageOf(Row()), Stage::kRolledBack);
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
}

TEST_F(Worker, ANewVersionThatLivesIsDeployed) {
  Create(2, [](auto& row) { row.mutable_strategy()->mutable_blue_green()->clear_bake(); });
  NewOnesAreHealthy();
  Confirm();
  Advance(absl::Seconds(9));
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching);
  EXPECT_THAT(Waiting(), HasSubstr("has no health check and must live for 10s"));
  Advance(absl::Seconds(1));
  Settle();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
}

TEST_F(Worker, RestartsAreCountedAndSlowedAfterADeploymentToo) {
  for (int i = 0; i < 3; ++i) {
    Killed(InService("blue")[0]);
    Step();
    Advance(absl::Seconds(5));  // the waits are 0, 1 and 2 s
    for (const std::string& id : Pending("blue")) Runs(id);
    Step();
    ASSERT_THAT(InService("blue"), SizeIs(2));
    // Each lives for 5 s.
    Advance(absl::Seconds(5));
    std::string newest;
    for (const std::string& id : InService("blue")) newest = std::max(newest, id);
    Killed(newest);
    Step();
  }
  EXPECT_GE(Get<v1::AutoScalingGroup>("blue").status().launch_failures(), 2);
  EXPECT_TRUE(Get<v1::AutoScalingGroup>("blue").status().has_launch_backoff_until());
}

}  // namespace
}  // namespace remuda::core
