// Ways back that do not come out, and the old side's end: nothing that serves is given up for them.
#include "tests/unit/controller/core/deploy_fixture.h"

namespace remuda::core {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

class WayBack : public Deploy {
 protected:
  // In the bake, with nothing of the old version left, nor a host that has room for more of it.
  void OldIsGone() {
    UntilStage(Stage::kBaking);
    Advance(absl::Seconds(11));
    for (const std::string& id : OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE)) Killed(id);
    Step();
  }
  // Instances of the old version that come up are found unhealthy by p2.
  void OldIsNeverReady() {
    for (const std::string& id : Pending("blue")) {
      Runs(id);
      Finds("p1", "tg", id, v1::TARGET_STATE_HEALTHY);
      Finds("p2", "tg", id, v1::TARGET_STATE_INITIAL);
    }
    Confirm();
    Step();
  }
  // In DRAINING, before any proxy has confirmed that.
  void BeginToDrain(bool automatic = true) {
    Create(2, [&](auto& row) { row.set_automatic_rollback(automatic); });
    UntilStage(Stage::kDraining);
    ASSERT_THAT(OldOnes(), SizeIs(2));
  }
  std::vector<std::string> OldOnes() const { return OfVersion(1, v1::INSTANCE_STATE_DRAINING); }
  std::vector<std::string> OldOnesUp() const {
    std::vector<std::string> out = OfVersion(1, v1::INSTANCE_STATE_PENDING);
    for (const std::string& id : OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE)) out.push_back(id);
    return out;
  }
  void KillNew() {
    for (const std::string& id : OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE)) Killed(id);
  }
  // Proxies and agents do all they are asked; new instances do not start.
  void Serve() {
    for (int i = 0; i < 5; ++i) {
      Confirm();
      Step();
      for (const std::string& id : Ids("blue", {v1::INSTANCE_STATE_STOPPING})) Stopped(id);
      Advance(absl::Seconds(11));
    }
  }
};

TEST_F(WayBack, ARollbackThatNeverGetsReadyFailsAtItsDeadlineAndWhatServesStays) {
  Create(2);
  OldIsGone();
  Rollback();
  ASSERT_EQ(StageOf(Row()), Stage::kBackLaunching);
  const auto before = OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE);
  ASSERT_THAT(before, SizeIs(2));
  OldIsNeverReady();
  const Time deadline = FromProto(Row().step_time()) + absl::Seconds(600);
  const auto shown = Describe(Draft(state), seen, now, Row());
  EXPECT_EQ(FromProto(shown.deadline_time()), deadline);
  Advance(absl::Seconds(599));
  OldIsNeverReady();
  EXPECT_EQ(StageOf(Row()), Stage::kBackLaunching);
  EXPECT_LE(due, deadline);
  Confirm();
  Advance(absl::Seconds(1));
  EXPECT_EQ(StageOf(Row()), Stage::kFailed);
  EXPECT_THAT(Row().rollback_reason(),
              AllOf(HasSubstr("asked for; the rollback failed: shop:1 was not ready within 10m"),
                    HasSubstr("0 of 2 instances of shop:1 are ready"),
                    HasSubstr("shop:2 stays, of which 2 instances are healthy"),
                    HasSubstr("`remuda deploy asg/blue --template shop:VERSION`")));
  EXPECT_TRUE(Row().has_end_time());
  EXPECT_EQ(LastActivity("Deploying").status(), v1::ACTIVITY_STATUS_FAILED);
  EXPECT_EQ(LastActivity("Gave up the rollback of shop:2").resource(), "autoScalingGroups/blue");
  EXPECT_EQ(Get<v1::AutoScalingGroup>("blue").launch_template().resolved_version(), 2);
  EXPECT_EQ(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), before);
  Settle();
  EXPECT_EQ(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), before);
  EXPECT_THAT(Shares(), AllOf(SizeIs(2), Each(Pair(::testing::_, Gt(0)))));
  EXPECT_EQ(Describe(Draft(state), seen, now, Row()).new_side().traffic_percent(), 100);
}

// Its time is over, but what the proxies have yet to say may be that it is ready.
TEST_F(WayBack, ARollbackIsNotGivenUpForWantOfAProxysWord) {
  Create(2);
  UntilStage(Stage::kBaking);
  Rollback();
  ASSERT_EQ(StageOf(Row()), Stage::kBackLaunching);
  Edit<v1::Deployment>("blue-1", [](auto& row) { row.set_paused(true); });
  Advance(absl::Seconds(700));
  Edit<v1::Deployment>("blue-1", [](auto& row) { row.set_paused(false); });
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kBackLaunching) << "none has confirmed it";
  // A controller that has just begun: they have confirmed all, but not told yet what they find.
  for (const char* id : {"p1", "p2"}) {
    seen.proxies[id].reported = false;
    seen.proxies[id].health.Clear();
  }
  Confirm();
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kBackLaunching);
  FindsAll(v1::TARGET_STATE_HEALTHY);
  for (const char* id : {"p1", "p2"}) seen.proxies[id].reported = true;
  UntilStage(Stage::kRolledBack);
}

TEST_F(WayBack, NoDeploymentIsRolledBackForWantOfAProxysWord) {
  for (const auto stage : {Stage::kLaunching, Stage::kShifting}) {
    SCOPED_TRACE(StageText(stage));
    Create(2);
    UntilStage(stage);
    NewOnesAreHealthy();
    ASSERT_EQ(StageOf(Row()), stage);
    Edit<v1::Deployment>("blue-1", [](auto& row) { row.set_paused(true); });
    Advance(absl::Seconds(700));
    Edit<v1::Deployment>("blue-1", [](auto& row) { row.set_paused(false); });
    Step();
    EXPECT_EQ(StageOf(Row()), stage);
    UntilStage(Stage::kBaking);
    Rollback();
    UntilStage(Stage::kRolledBack);
    Settle();
  }
}

TEST_F(WayBack, WhatAFailedRollbackHadIsDrainedAndNeverServes) {
  Create(2);
  UntilStage(Stage::kBaking);
  Advance(absl::Seconds(11));
  const std::string warm = OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE)[0];
  Killed(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE)[1]);
  Step();
  Rollback();
  Confirm();
  Advance(absl::Seconds(600));
  ASSERT_EQ(StageOf(Row()), Stage::kFailed);
  EXPECT_EQ(Get<v1::Instance>(warm).state(), v1::INSTANCE_STATE_DRAINING);
  EXPECT_EQ(Get<v1::Instance>(warm).state_reason(),
            "deployment blue-1, which kept traffic from it, has ended");
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
}

TEST_F(WayBack, AfterAFailedRollbackAnotherVersionCanBeDeployed) {
  Create(2);
  OldIsGone();
  Rollback();
  Confirm();
  Advance(absl::Seconds(600));
  ASSERT_EQ(StageOf(Row()), Stage::kFailed);
  Settle();
  Create(3);
  EXPECT_EQ(Row().from().resolved_version(), 2);
  UntilStage(Stage::kSucceeded);
  EXPECT_THAT(OfVersion(3, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
}

TEST_F(WayBack, ANewVersionThatFailsWhileTheOldDrainsIsRolledBack) {
  for (const char* host : {"h3", "h4"}) Host(host);  // others could be launched
  BeginToDrain();
  const auto old_ones = OldOnes();
  KillNew();
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kBackLaunching);
  EXPECT_THAT(Row().rollback_reason(), HasSubstr("only 0 of 2 instances of shop:2 are healthy"));
  EXPECT_EQ(OldOnesUp(), old_ones) << "taken back, and no others";
  UntilStage(Stage::kRolledBack);
  EXPECT_EQ(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), old_ones);
}

TEST_F(WayBack, OneOfTwoNewOnesIsEnoughToEndTheOld) {
  BeginToDrain();
  Killed(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE)[0]);
  Serve();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
}

TEST_F(WayBack, OldOnesAreKeptForAPersonWhileTheNewVersionFails) {
  BeginToDrain(/*automatic=*/false);
  const auto old_ones = OldOnes();
  KillNew();
  Step();
  Serve();
  Advance(absl::Minutes(20));
  EXPECT_EQ(StageOf(Row()), Stage::kDraining);
  EXPECT_EQ(OldOnes(), old_ones) << "there is no way back from their end";
  EXPECT_THAT(Waiting(), AllOf(HasSubstr("only 0 of 2 instances of shop:2 are healthy"),
                               HasSubstr("`remuda deployment rollback blue-1` goes back")));
  Rollback();
  EXPECT_EQ(OldOnesUp(), old_ones);
  UntilStage(Stage::kRolledBack);
  EXPECT_EQ(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), old_ones);
}

TEST_F(WayBack, OldOnesThatWereKeptAreEndedWhenTheNewVersionIsUpAgain) {
  BeginToDrain(/*automatic=*/false);
  KillNew();
  Step();
  Serve();
  ASSERT_THAT(OldOnes(), SizeIs(2));
  Settle();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
  EXPECT_THAT(OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE), SizeIs(2));
}

TEST_F(WayBack, PausedTheOldOnesAreKeptToo) {
  BeginToDrain(/*automatic=*/false);
  Edit<v1::Deployment>("blue-1", [&](auto& row) { Pause(row, now); });
  KillNew();
  Step();
  Serve();
  EXPECT_THAT(OldOnes(), SizeIs(2));
}

TEST_F(WayBack, PausedItGoesBackAllTheSameWhenTheNewVersionFailsItsUsers) {
  BeginToDrain();
  const std::vector<std::string> old_ones = OldOnes();
  Edit<v1::Deployment>("blue-1", [&](auto& row) { Pause(row, now); });
  KillNew();
  Step();
  EXPECT_EQ(StageOf(Row()), Stage::kBackLaunching);
  EXPECT_FALSE(Row().paused());
  UntilStage(Stage::kRolledBack);
  EXPECT_EQ(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), old_ones);
}

TEST_F(WayBack, WhatAPersonEndsIsNotKept) {
  BeginToDrain(/*automatic=*/false);
  const std::string asked = OldOnes()[0];
  Edit<v1::Instance>(asked, [](auto& row) { row.set_terminate_requested(true); });
  KillNew();
  Step();
  Serve();
  EXPECT_EQ(Get<v1::Instance>(asked).state(), v1::INSTANCE_STATE_TERMINATED);
  EXPECT_THAT(OldOnes(), SizeIs(1));
}

TEST_F(WayBack, MoreThatWereOnlyAskedForKeepNoOldOnes) {
  Edit<v1::AutoScalingGroup>("blue", [](auto& row) { row.set_max(6); });
  BeginToDrain();
  Desired("blue", 6);
  Serve();
  EXPECT_EQ(StageOf(Row()), Stage::kSucceeded);
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_IN_SERVICE), IsEmpty());
}

}  // namespace
}  // namespace remuda::core
