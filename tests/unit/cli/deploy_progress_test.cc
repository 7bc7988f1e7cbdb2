#include "cli/deploy_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace remuda::cli {
namespace {

using ::testing::HasSubstr;

v1::Deployment Launching() {
  v1::Deployment d;
  d.set_name("deployments/blue-3");
  d.set_auto_scaling_group("autoScalingGroups/blue");
  d.mutable_from()->set_launch_template("shop");
  d.mutable_from()->set_resolved_version(1);
  d.mutable_to()->set_launch_template("shop");
  d.mutable_to()->set_resolved_version(2);
  d.set_state(v1::DEPLOYMENT_STATE_IN_PROGRESS);
  d.add_steps()->mutable_launch()->set_role(v1::DEPLOYMENT_ROLE_NEW);
  d.add_steps()->set_traffic(100);
  d.set_current_step(1);
  d.mutable_old_side()->set_in_service(2);
  d.mutable_old_side()->set_traffic_percent(100);
  d.mutable_new_side()->set_pending(2);
  d.set_waiting("2 new instances to pass their health checks");
  d.mutable_deadline_time()->set_seconds(1000);
  return d;
}

google::protobuf::Timestamp At(int64_t seconds) {
  google::protobuf::Timestamp out;
  out.set_seconds(seconds);
  return out;
}

TEST(DeployProgress, OneLineHoldsStateSidesSplitAndReason) {
  EXPECT_EQ(ProgressLine(Launching()),
            "IN_PROGRESS 1/2 launch new  shop:1: 2 in service, 100%  shop:2: 0 in service, 2 "
            "pending, 0%  "
            "waiting: 2 new instances to pass their health checks");
  v1::Deployment back = Launching();
  back.set_paused(true);
  back.set_rollback_reason("too slow");
  EXPECT_THAT(ProgressLine(back), HasSubstr("IN_PROGRESS 1/2 launch new (paused)  "));
  EXPECT_THAT(ProgressLine(back), HasSubstr("rolling back: too slow"));
}

TEST(DeployProgress, ThePanelFitsTheTerminal) {
  v1::Deployment d = Launching();
  d.set_waiting("\x1b[2J\n" + std::string(300, 'x'));
  const auto lines = ProgressPanel(d, At(400), 80);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0], "blue-3  IN_PROGRESS 1/2 launch new  (gives up or goes on in 10m0s)");
  EXPECT_EQ(lines[1],
            "  old shop:1       [####################] 100% of the traffic   2 in service");
  for (const std::string& line : lines) {
    EXPECT_LE(line.size(), 80u);
    EXPECT_EQ(line.find_first_of("\x1b\n"), std::string::npos);
  }
}

TEST(DeployProgress, AStepSaysWhatItDoes) {
  v1::Deployment d = Launching();
  d.clear_steps();
  EXPECT_EQ(StepText(d), "") << "none";
  d.add_steps()->mutable_launch()->set_role(v1::DEPLOYMENT_ROLE_OLD);
  d.add_steps()->set_traffic(10);
  d.add_steps()->mutable_bake()->set_seconds(90);
  d.add_steps()->mutable_drain()->set_role(v1::DEPLOYMENT_ROLE_NEW);
  std::vector<std::string> said;
  for (int i = 0; i <= 5; ++i) {
    d.set_current_step(i);
    said.push_back(StepText(d));
  }
  EXPECT_THAT(said, testing::ElementsAre("", "1/4 launch old", "2/4 shift to 10%", "3/4 bake 90s",
                                         "4/4 drain new", ""));
}

TEST(DeployProgress, TimeLeft) {
  EXPECT_EQ(TimeLeft(Launching(), At(400)), "in 10m0s");
  EXPECT_EQ(TimeLeft(Launching(), At(941)), "in 59s");
  EXPECT_EQ(TimeLeft(Launching(), At(2000)), "in 0s");
  v1::Deployment d = Launching();
  d.set_state(v1::DEPLOYMENT_STATE_SUCCEEDED);
  EXPECT_EQ(TimeLeft(d, At(0)), "");
}

TEST(DeployProgress, OutcomeSaysWhichVersionRuns) {
  v1::Deployment d = Launching();
  d.set_state(v1::DEPLOYMENT_STATE_SUCCEEDED);
  EXPECT_TRUE(HasEnded(d));
  EXPECT_EQ(OutcomeText(d), "blue-3: done, blue runs shop:2");
  EXPECT_EQ(ProgressLine(d), "SUCCEEDED");
  EXPECT_THAT(ProgressPanel(d, At(0), 80), testing::ElementsAre("blue-3  SUCCEEDED"));
  d.set_state(v1::DEPLOYMENT_STATE_ROLLED_BACK);
  d.set_rollback_reason("not healthy in time");
  EXPECT_EQ(OutcomeText(d), "blue-3: rolled back, blue runs shop:1: not healthy in time");
  d.set_state(v1::DEPLOYMENT_STATE_FAILED);
  EXPECT_TRUE(HasEnded(d));
  EXPECT_EQ(OutcomeText(d), "blue-3: failed, blue still runs shop:2: not healthy in time");
}

v1::Instance Launched(const char* id, int64_t state_seconds) {
  v1::Instance out;
  out.set_name(std::string("instances/") + id);
  out.set_deployment("deployments/blue-3");
  out.mutable_state_time()->set_seconds(state_seconds);
  return out;
}

TEST(DeployProgress, TheNewestThatFailedIsTheCulprit) {
  v1::Instance good = Launched("i-good", 50);
  good.mutable_start_time();
  good.mutable_in_service_time();
  v1::Instance late = Launched("i-late", 40);
  late.mutable_start_time();
  v1::Instance died = Launched("i-died", 10);
  died.set_unhealthy(true);
  v1::Instance died_later = Launched("i-died-later", 20);
  died_later.set_unhealthy(true);
  const v1::Instance begun = Launched("i-begun", 70);
  EXPECT_EQ(Culprit({}), nullptr);
  EXPECT_EQ(Culprit({&good, &begun}), nullptr);
  EXPECT_EQ(Culprit({&good, &late}), &late);
  EXPECT_EQ(Culprit({&good, &died, &died_later, &late, &begun}), &died_later);
}

TEST(DeployProgress, SuspectsAreThoseOfTheDeploymentOrOfTheGroupsVersion) {
  v1::Instance instance = Launched("i-1", 0);
  v1::Deployment d = Launching();
  EXPECT_TRUE(IsSuspect(d, instance));
  d.set_state(v1::DEPLOYMENT_STATE_SUCCEEDED);
  EXPECT_FALSE(IsSuspect(d, instance));
  EXPECT_FALSE(IsSuspect(Launching(), v1::Instance()));

  v1::AutoScalingGroup group;
  *group.mutable_launch_template() = d.to();
  EXPECT_FALSE(IsSuspect(group, instance)) << "it runs another version";
  *instance.mutable_launch_template() = d.to();
  EXPECT_TRUE(IsSuspect(group, instance));
  instance.set_state(v1::INSTANCE_STATE_TERMINATED);
  EXPECT_FALSE(IsSuspect(group, instance)) << "others have come up since";
  group.mutable_status()->set_launch_failures(1);
  EXPECT_TRUE(IsSuspect(group, instance));
}

TEST(DeployProgress, TroubleNamesTheCommandToType) {
  EXPECT_THAT(TroubleLines(Launched("i-0000000007", 0), ""),
              testing::ElementsAre("what i-0000000007 printed: `remuda logs i-0000000007`"));
  EXPECT_THAT(TroubleLines(Launched("i-0000000007", 0), "Error: \x1b[2J no\n    at x\n"),
              testing::ElementsAre("i-0000000007 printed last:", "  Error: ?[2J no", "      at x",
                                   "all that it printed: `remuda logs i-0000000007`"));
  EXPECT_THAT(TroubleLines(Launched("i-0000000007", 0), "panic: no\r\n\tat main.go\r\n\r\n"),
              testing::ElementsAre("i-0000000007 printed last:", "  panic: no", "      at main.go",
                                   "all that it printed: `remuda logs i-0000000007`"))
      << "a tab is spaces, and a carriage return nothing";
}

}  // namespace
}  // namespace remuda::cli
