// A deployment's steps, and where it stands in them.
#include "controller/core/model/deployment_row.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/core/model/launch_ref.h"
#include "tests/unit/controller/core/stages.h"

namespace remuda::core {
namespace {

v1::Deployment BlueGreen() {
  v1::Deployment row;
  *row.mutable_from() = Numbered("shop", 1);
  *row.mutable_to() = Numbered("shop", 2);
  row.mutable_strategy()->mutable_blue_green()->mutable_bake()->set_seconds(30);
  SetStage(row, Stage::kLaunching);
  return row;
}

std::string Steps(const v1::Deployment& row) {
  std::string out;
  for (const auto& step : row.steps())
    absl::StrAppend(&out, out.empty() ? "" : ", ", step.ShortDebugString());
  return out;
}

constexpr char kForward[] =
    "launch { role: DEPLOYMENT_ROLE_NEW }, traffic: 100, bake { seconds: "
    "30 }, drain { role: DEPLOYMENT_ROLE_OLD }";

TEST(DeploymentRow, BlueGreenHasFourSteps) {
  v1::Deployment row = BlueGreen();
  EXPECT_EQ(Steps(row), kForward);
  int position = 0;
  for (const Stage stage :
       {Stage::kLaunching, Stage::kShifting, Stage::kBaking, Stage::kDraining}) {
    SetStage(row, stage);
    EXPECT_EQ(row.current_step(), ++position);
    EXPECT_EQ(row.state(), v1::DEPLOYMENT_STATE_IN_PROGRESS);
    EXPECT_EQ(StageOf(row), stage);
  }
  SetStage(row, Stage::kSucceeded);
  EXPECT_EQ(row.state(), v1::DEPLOYMENT_STATE_SUCCEEDED);
  EXPECT_EQ(row.current_step(), 4) << "the last that was taken";
  EXPECT_EQ(Steps(row), kForward);
}

TEST(DeploymentRow, ARollbackReplacesWhatHadNotBegun) {
  v1::Deployment row = BlueGreen();
  SetStage(row, Stage::kShifting);
  SetStage(row, Stage::kBackLaunching);
  EXPECT_EQ(Steps(row),
            "launch { role: DEPLOYMENT_ROLE_NEW }, traffic: 100, launch { role: "
            "DEPLOYMENT_ROLE_OLD }, traffic: 0, drain { role: DEPLOYMENT_ROLE_NEW }");
  int position = 2;
  for (const Stage stage : {Stage::kBackLaunching, Stage::kBackShifting, Stage::kBackDraining}) {
    SetStage(row, stage);
    EXPECT_EQ(row.current_step(), ++position);
    EXPECT_EQ(row.state(), v1::DEPLOYMENT_STATE_ROLLING_BACK);
    EXPECT_EQ(StageOf(row), stage);
  }
  SetStage(row, Stage::kRolledBack);
  EXPECT_EQ(row.state(), v1::DEPLOYMENT_STATE_ROLLED_BACK);
}

TEST(DeploymentRow, BeforeTrafficMovedOnlyTheNewOnesGo) {
  v1::Deployment row = BlueGreen();
  SetStage(row, Stage::kBackDraining);
  EXPECT_EQ(Steps(row),
            "launch { role: DEPLOYMENT_ROLE_NEW }, drain { role: DEPLOYMENT_ROLE_NEW }");
  EXPECT_EQ(row.current_step(), 2);
  EXPECT_EQ(StageOf(row), Stage::kBackDraining);
}

TEST(DeploymentRow, OneThatMovesNoTrafficOnlyLaunches) {
  v1::Deployment row;
  *row.mutable_from() = Numbered("shop", 2);
  *row.mutable_to() = Numbered("shop", 2);
  SetStage(row, Stage::kLaunching);
  EXPECT_EQ(Steps(row), "launch { role: DEPLOYMENT_ROLE_NEW }");
}

TEST(DeploymentRow, NoRowIsNowhere) {
  EXPECT_EQ(StageOf(v1::Deployment()), Stage::kNone);
  EXPECT_FALSE(HasEnded(Stage::kNone));
}

}  // namespace
}  // namespace remuda::core
