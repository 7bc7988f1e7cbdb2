// Strategies that begin beside what another deployment, a move or a failure has left, or meet one
// on their way. Each was found by the simulation (tests/sim/deployments_sim_test.cc).
#include <gmock/gmock.h>

#include <algorithm>

#include "controller/core/deployment/replacement.h"
#include "controller/core/model/instance_state.h"
#include "tests/unit/controller/core/deploy_fixture.h"

namespace remuda::core {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class StrategiesMidway : public Deploy {
 protected:
  // Ports are the agents' to pick, so that hosts have room.
  void Size(int number) {
    Template("shop", 1, 0);
    Template("shop", 2, 0);
    Edit<v1::AutoScalingGroup>("blue", [&](auto& row) {
      row.set_max(2 * number);
      row.set_desired(number);
    });
    Settle();
  }
  void InPlace() {
    Create(2, [](auto& row) { row.mutable_strategy()->mutable_in_place(); });
  }
  void IsOfVersion(const std::string& id, int version) {
    Edit<v1::Instance>(
        id, [&](auto& row) { row.mutable_launch_template()->set_resolved_version(version); });
  }
  int Alive() const {
    int out = 0;
    for (const std::string& id : state.InstancesOfGroup("blue")) {
      out += Get<v1::Instance>(id).state() != v1::INSTANCE_STATE_TERMINATED;
    }
    return out;
  }
};

TEST_F(StrategiesMidway, InPlaceKeepsTheFloorWhereMoreAreThereThanAreDesired) {
  Size(5);
  auto group = Get<v1::AutoScalingGroup>("blue");
  group.set_desired(4);
  Put("blue", group);
  InPlace();
  EXPECT_GE(InService("blue").size(), 3u);
}

TEST_F(StrategiesMidway, InPlaceCallsTheMoveToAnotherZoneOff) {
  Size(4);
  const std::vector<std::string> all = InService("blue");
  Edit<v1::Instance>(all[0], [&](auto& row) { row.set_replaces(all[1]); });
  InPlace();
  for (int i = 0; i < 10; ++i) {
    NewOnesAreHealthy();
    Confirm();
    Step();
    EXPECT_EQ(Alive(), 4);
  }
}

TEST_F(StrategiesMidway, OneOnADrainedHostIsReplacedOnce) {
  Size(4);
  Create(2, [](auto& row) {
    auto& rolling = *row.mutable_strategy()->mutable_rolling();
    rolling.set_min_healthy_percent(100);
    rolling.set_max_percent(125);
  });
  NewOnesAreHealthy();
  Confirm();
  Step();
  const std::vector<std::string> came = OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE);
  ASSERT_THAT(came, SizeIs(1));
  Edit<v1::Host>(Get<v1::Instance>(came[0]).host(),
                 [](auto& row) { row.set_schedule(v1::HOST_SCHEDULE_DRAINING); });
  Step();
  Step();
  EXPECT_LE(OfVersion(2, v1::INSTANCE_STATE_PENDING).size(), 1u);
}

TEST_F(StrategiesMidway, OneOfALostHostIsReplacedOnce) {
  Size(4);
  Host("h3");
  InPlace();
  while (OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE).size() < 2) {
    NewOnesAreHealthy();
    Confirm();
    Step();
  }
  const std::string lost = OfVersion(2, v1::INSTANCE_STATE_IN_SERVICE)[0];
  // On a host of its own: what else is there goes on.
  Edit<v1::Instance>(lost, [](auto& row) { row.set_host("h3"); });
  Silence("h3");
  for (int i = 0; i < 20; ++i) {
    Advance(absl::Seconds(5));
    EXPECT_LE(Alive(), 5);
    NewOnesAreHealthy();
    Confirm();
    Step();
  }
  EXPECT_EQ(Get<v1::Instance>(lost).state(), v1::INSTANCE_STATE_UNKNOWN);
}

TEST_F(StrategiesMidway, WhatADeploymentBeforeKeptFromTrafficServesUnderRolling) {
  Size(2);
  const std::vector<std::string> all = InService("blue");
  IsOfVersion(all[0], 2);
  Edit<v1::Instance>(all[0], [](auto& row) { row.set_withheld_by("blue-0"); });
  Create(2, [](auto& row) { row.mutable_strategy()->mutable_rolling(); });
  EXPECT_FALSE(IsWithheld(Get<v1::Instance>(all[0])));
}

TEST_F(StrategiesMidway, ACanaryOfOneEndsNothingThatServes) {
  Size(2);
  const std::vector<std::string> all = InService("blue");
  IsOfVersion(all[0], 2);
  auto group = Get<v1::AutoScalingGroup>("blue");
  group.set_desired(1);
  Put("blue", group);
  Create(2, [](auto& row) { row.mutable_strategy()->mutable_canary()->set_percent(10); });
  EXPECT_EQ(StageOf(Row()), Stage::kLaunching);
  EXPECT_THAT(OfVersion(1, v1::INSTANCE_STATE_DRAINING), IsEmpty());
}

TEST_F(StrategiesMidway, APlanThatBeginsWithoutAShareTakesNoneFromWhatServes) {
  Size(1);
  IsOfVersion(InService("blue")[0], 2);
  Create(2, [](auto& row) {
    row.mutable_strategy()->clear_blue_green();
    row.mutable_strategy()->add_steps()->mutable_launch()->set_percent(1);
    row.mutable_strategy()->add_steps()->set_traffic(0);
    row.mutable_strategy()->add_steps()->mutable_approval();
  });
  Confirm();
  Step();
  Confirm();
  Step();
  ASSERT_EQ(StageOf(Row()), Stage::kHolding);
  EXPECT_FALSE(IsWithheld(Get<v1::Instance>(InService("blue")[0])));
}

TEST_F(StrategiesMidway, TheGenerationBeforeTellsNothingWhenItsHostIsBack) {
  Size(2);
  InPlace();
  const std::string id = Ids("blue", {v1::INSTANCE_STATE_DRAINING})[0];
  Confirm();
  Step();
  ASSERT_EQ(Get<v1::Instance>(id).generation(), 1);
  const std::string host = Get<v1::Instance>(id).host();
  Silence(host);
  Advance(absl::Seconds(20));
  ASSERT_EQ(Get<v1::Instance>(id).state(), v1::INSTANCE_STATE_UNKNOWN);
  seen.hosts[host].connected = true;
  Step();
  EXPECT_EQ(Get<v1::Instance>(id).state(), v1::INSTANCE_STATE_PENDING);
  EXPECT_FALSE(Get<v1::Instance>(id).has_start_time());
}

TEST(Replacement, OneOfTheOthersThatFailsMakesNoRoom) {
  v1::ReplaceStep step;
  step.set_percent(25);
  step.set_max_percent(100);
  step.set_terminate_first(true);
  const ReplaceBounds bounds = BoundsOf(step, 3);
  // One of them drains; another has failed, and is launched anew.
  const ReplaceProgress now{.desired = 3, .has_begun = true, .left = 1, .left_alive = 2};
  const ReplaceNumbers next = Replace(bounds, now, ReplaceMode::kMove);
  EXPECT_EQ(next.staying, 2);
  EXPECT_EQ(next.coming, 0);
}

TEST(Replacement, NoneOfTheOthersIsLaunchedBesideThoseOnTheirWayUp) {
  v1::ReplaceStep step;
  step.set_percent(25);
  step.set_max_percent(110);
  const ReplaceBounds bounds = BoundsOf(step, 4);
  const ReplaceProgress now{
      .desired = 4, .has_begun = true, .came = 4, .ready = 2, .left = 1, .left_alive = 1};
  EXPECT_EQ(Replace(bounds, now, ReplaceMode::kMove).staying, 1);
  ReplaceProgress rest = now;
  rest.coming = 2;
  rest.staying = 1;
  EXPECT_EQ(Replace(bounds, rest, ReplaceMode::kRest).staying, 1);
  // Nor more of the new one than are desired by now, though the last batch serves first.
  rest.coming = 5;
  EXPECT_EQ(Replace(bounds, rest, ReplaceMode::kBake).coming, 4);
}

}  // namespace
}  // namespace remuda::core
