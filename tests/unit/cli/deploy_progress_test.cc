#include "cli/deploy_progress.h"

#include <absl/strings/str_join.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <iterator>

namespace remuda::cli {
namespace {

using ::testing::_;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

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

PanelStyle Width(size_t width) { return {.width = width}; }

// One step of each kind, in the order of the schema's comments; the shares of a canary.
v1::Deployment WithEveryStep() {
  v1::Deployment d = Launching();
  d.clear_steps();
  d.clear_waiting();
  d.clear_deadline_time();
  d.add_steps()->mutable_launch()->set_percent(10);
  d.add_steps()->set_traffic(5);
  d.add_steps()->mutable_analysis()->mutable_duration()->set_seconds(60);
  d.add_steps()->mutable_pause()->set_seconds(600);
  d.add_steps()->mutable_approval()->set_name("security");
  d.add_steps()->mutable_replace()->set_percent(50);
  d.add_steps()->mutable_update();
  d.add_steps()->mutable_bake()->set_seconds(90);
  d.add_steps()->mutable_drain()->set_role(v1::DEPLOYMENT_ROLE_OLD);
  return d;
}

void Measure(v1::DeploymentSide& side, int64_t requests, int64_t errors, int p50_ms, int p99_ms) {
  side.set_requests(requests);
  side.set_errors(errors);
  side.mutable_latency_p50()->set_nanos(p50_ms * 1'000'000);
  side.mutable_latency_p99()->set_seconds(p99_ms / 1000);
  side.mutable_latency_p99()->set_nanos(p99_ms % 1000 * 1'000'000);
}

void Evaluate(v1::Deployment& d, int64_t seconds, v1::AnalysisEvaluation::Verdict verdict) {
  auto& evaluation = *d.add_evaluations();
  evaluation.mutable_time()->set_seconds(seconds);
  evaluation.set_check("error-rate");
  evaluation.set_verdict(verdict);
  evaluation.set_description("0.5% of 200 requests");
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

TEST(DeployProgress, ThePanelShowsStepsSidesAndWhatIsAwaited) {
  v1::Deployment d = WithEveryStep();
  d.set_current_step(3);
  d.mutable_create_time()->set_seconds(100);
  d.mutable_strategy()->mutable_canary();
  d.mutable_deadline_time()->set_seconds(460);
  d.mutable_old_side()->set_traffic_percent(95);
  d.mutable_new_side()->set_traffic_percent(5);
  Measure(*d.mutable_old_side(), 4755, 1, 12, 40);
  Measure(*d.mutable_new_side(), 245, 2, 12, 1250);
  d.set_waiting("the analysis");
  d.add_warnings("no host has room for both");
  EXPECT_THAT(
      ProgressPanel(d, At(400), Width(100)),
      ElementsAre(
          "blue-3  IN_PROGRESS 3/9 analysis 60s",
          "  asg/blue: shop:1 -> shop:2, canary, for 5m",  //
          "  [x] 1 launch new 10%",                        //
          "  [x] 2 shift to 5%",                           //
          "  [>] 3 analysis 60s",                          //
          "  [ ] 4 pause 10m",                             //
          "  [ ] 5 approval security",                     //
          "  [ ] 6 replace 50% by new",                    //
          "  [ ] 7 update all to new",                     //
          "  [ ] 8 bake 90s",                              //
          "  [ ] 9 drain old",
          "  old shop:1       [###################.]  95% of the traffic   2 in service",
          "    measured 95.1%, 4755 requests, errors 0.021%, p50 12ms, p99 40ms",
          "  new shop:2       [#...................]   5% of the traffic   0 in service, 2 pending",
          "    measured 4.9%, 245 requests, errors 0.8%, p50 12ms, p99 1.25s",
          "  waiting: the analysis",  //
          "  is judged in 60s",       //
          "  warning: no host has room for both"));
}

TEST(DeployProgress, TheNewestEvaluationsStandInThePanel) {
  setenv("TZ", "UTC", 1);
  v1::Deployment d = Launching();
  for (int64_t i = 0; i < 5; ++i) Evaluate(d, 3600 + i, v1::AnalysisEvaluation::VERDICT_PASSED);
  d.mutable_evaluations(4)->set_verdict(v1::AnalysisEvaluation::VERDICT_FAILED);
  std::vector<std::string> told;
  for (const std::string& line : ProgressPanel(d, At(400), Width(100)))
    if (line.find("error-rate") != std::string::npos) told.push_back(line);
  EXPECT_THAT(told, ElementsAre("  01:00:02 PASSED error-rate: 0.5% of 200 requests",
                                "  01:00:03 PASSED error-rate: 0.5% of 200 requests",
                                "  01:00:04 FAILED error-rate: 0.5% of 200 requests"));
}

TEST(DeployProgress, ThePanelFitsTheTerminal) {
  for (const size_t width : {10, 40, 60, 80, 200}) {
    v1::Deployment d = WithEveryStep();
    d.set_current_step(5);
    Measure(*d.mutable_old_side(), 4'755'123, 1, 12, 40);
    d.set_waiting("\x1b[2J\n" + std::string(300, 'x') + " " + std::string(300, 'y'));
    d.set_rollback_reason("\x1b[2J" + std::string(50, ' ') + "no");
    Evaluate(d, 3600, v1::AnalysisEvaluation::VERDICT_FAILED);
    d.mutable_evaluations(0)->set_description(std::string(500, 'z'));
    for (const size_t height : {0, 1, 5, 10, 15, 20}) {
      const auto lines = ProgressPanel(d, At(400), {.width = width, .height = height});
      if (height > 0) {
        EXPECT_LE(lines.size(), height) << width;
      }
      for (const std::string& line : lines) {
        EXPECT_LE(line.size(), std::max<size_t>(width, 40)) << line;
        EXPECT_EQ(line.find_first_of("\x1b\n"), std::string::npos);
      }
    }
  }
}

TEST(DeployProgress, ANarrowPanelWrapsWhatAPersonHasToType) {
  v1::Deployment d = WithEveryStep();
  d.set_current_step(5);
  const auto lines = ProgressPanel(d, At(400), Width(40));
  EXPECT_THAT(lines, Contains("  old shop:1 [######] 100% 2 in service"));
  EXPECT_THAT(std::vector<std::string>(lines.end() - 5, lines.end()),
              ElementsAre("  next:", "    `remuda deployment approve blue-3`", "    goes on,",
                          "    `remuda deployment approve --reject", "    blue-3` goes back"))
      << absl::StrJoin(lines, "\n");
}

TEST(DeployProgress, EightyColumnsHoldABarAndAllCounts) {
  v1::Deployment d = Launching();
  d.mutable_new_side()->set_in_service(1);
  d.mutable_new_side()->set_terminating(1);
  EXPECT_THAT(ProgressPanel(d, At(400), Width(80)),
              Contains("  new shop:2   [....................]   0% 1 in service, 2 pending, 1 "
                       "ending"));
}

TEST(DeployProgress, WhereThereIsNoRoomTheStepsAroundTheCurrentOneAreShown) {
  v1::Deployment d = Launching();
  d.clear_steps();
  for (int i = 1; i <= 50; ++i) d.add_steps()->set_traffic(2 * i);
  d.set_current_step(20);
  auto lines = ProgressPanel(d, At(400), {.width = 80, .height = 11});
  EXPECT_THAT(lines, ElementsAre(HasSubstr("20/50 shift to 40%"), _, "  ... 18 before",
                                 "  [x] 19 shift to 38%", "  [>] 20 shift to 40%",
                                 "  [ ] 21 shift to 42%", "  ... 29 more", _, _, _, _));
  d.set_current_step(1);
  lines = ProgressPanel(d, At(400), {.width = 80, .height = 9});
  EXPECT_THAT(lines, ElementsAre(_, _, "  [>] 1 shift to 2%", "  [ ] 2 shift to 4%",
                                 "  ... 48 more", _, _, _, _));
  d.set_current_step(50);
  lines = ProgressPanel(d, At(400), {.width = 80, .height = 9});
  EXPECT_THAT(lines, ElementsAre(_, _, "  ... 48 before", "  [x] 49 shift to 98%",
                                 "  [>] 50 shift to 100%", _, _, _, _));
}

TEST(DeployProgress, ColoursOnlyWhereTheyAreAskedFor) {
  const v1::Deployment d = Launching();
  const auto plain = ProgressPanel(d, At(400), Width(80));
  const auto coloured = ProgressPanel(d, At(400), {.width = 80, .with_colours = true});
  ASSERT_EQ(plain.size(), coloured.size());
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_EQ(plain[i].find('\x1b'), std::string::npos);
    EXPECT_THAT(coloured[i], HasSubstr(plain[i]));
  }
  EXPECT_THAT(coloured, Contains("\x1b[33m  [>] 1 launch new\x1b[0m"));
}

TEST(DeployProgress, AStepSaysWhatItDoes) {
  v1::Deployment d = WithEveryStep();
  std::vector<std::string> said;
  for (int i = 0; i <= 10; ++i) {
    d.set_current_step(i);
    said.push_back(StepText(d));
  }
  EXPECT_THAT(said, ElementsAre("", "1/9 launch new 10%", "2/9 shift to 5%", "3/9 analysis 60s",
                                "4/9 pause 10m", "5/9 approval security", "6/9 replace 50% by new",
                                "7/9 update all to new", "8/9 bake 90s", "9/9 drain old", ""));
  d.clear_steps();
  EXPECT_EQ(StepText(d), "") << "none";
  d.add_steps()->mutable_launch()->set_role(v1::DEPLOYMENT_ROLE_OLD);
  d.add_steps()->mutable_replace()->set_role(v1::DEPLOYMENT_ROLE_OLD);
  d.add_steps()->mutable_update()->set_role(v1::DEPLOYMENT_ROLE_OLD);
  d.add_steps()->mutable_drain()->set_role(v1::DEPLOYMENT_ROLE_NEW);
  d.add_steps();
  said.clear();
  for (int i = 1; i <= 5; ++i) {
    d.set_current_step(i);
    said.push_back(StepText(d));
  }
  EXPECT_THAT(said, ElementsAre("1/5 launch old", "2/5 replace all by old", "3/5 update all to old",
                                "4/5 drain new", "5/5 ?"));
}

// In progress, each kind of step says what comes when its time is over, and what a person may do.
TEST(DeployProgress, EveryKindOfStepInProgressAndRollingBack) {
  struct Case {
    const char* then;
    const char* next;
  };
  const char* promote = "it goes on by itself; `remuda deployment promote blue-3` goes on now";
  const Case cases[] = {
      {"  rolls back in 30s", ""},
      {"  rolls back in 30s", ""},
      {"  is judged in 30s", ""},
      {"  goes on in 30s", promote},
      {"  gives up or goes on in 30s",
       "`remuda deployment approve blue-3` goes on, `remuda deployment approve --reject blue-3` "
       "goes back"},
      {"  gives up or goes on in 30s", ""},
      {"  gives up or goes on in 30s", ""},
      {"  goes on in 30s", promote},
      {"  gives up or goes on in 30s", ""},
  };
  v1::Deployment d = WithEveryStep();
  d.mutable_deadline_time()->set_seconds(430);
  ASSERT_EQ(d.steps_size(), static_cast<int>(std::size(cases)));
  for (int i = 1; i <= d.steps_size(); ++i) {
    SCOPED_TRACE(i);
    d.set_current_step(i);
    d.set_state(v1::DEPLOYMENT_STATE_IN_PROGRESS);
    EXPECT_THAT(ProgressPanel(d, At(400), Width(200)), Contains(cases[i - 1].then));
    EXPECT_EQ(NextText(d, At(400)), cases[i - 1].next);
    EXPECT_THAT(ProgressPanel(d, At(400), Width(200)),
                Contains(HasSubstr("  [>] " + std::to_string(i) + " ")).Times(1));
    d.set_state(v1::DEPLOYMENT_STATE_ROLLING_BACK);
    EXPECT_THAT(ProgressPanel(d, At(400), Width(200)), Contains("  gives up or goes on in 30s"));
    EXPECT_EQ(NextText(d, At(400)), "");
    d.set_state(v1::DEPLOYMENT_STATE_SUCCEEDED);
    EXPECT_THAT(ProgressPanel(d, At(400), Width(200)), Contains(HasSubstr("[x]")).Times(9));
    d.set_state(v1::DEPLOYMENT_STATE_ROLLED_BACK);
    const auto back = ProgressPanel(d, At(400), Width(200));
    EXPECT_THAT(back, Contains(HasSubstr("[x]")).Times(i));
    EXPECT_THAT(back, Contains(HasSubstr("[ ]")).Times(9 - i));
    EXPECT_EQ(back.size(), 11u) << "neither sides nor what is awaited";
  }
}

TEST(DeployProgress, WhoIsAwaitedIsToldWhatToType) {
  v1::Deployment d = WithEveryStep();
  d.set_current_step(5);
  d.set_approved(true);
  EXPECT_EQ(NextText(d, At(0)), "");
  d.set_paused(true);
  EXPECT_EQ(NextText(d, At(0)),
            "`remuda deployment resume blue-3` goes on, `remuda deployment rollback blue-3` goes "
            "back");
  d.mutable_pause_time()->set_seconds(100);
  EXPECT_THAT(ProgressPanel(d, At(400), Width(80)),
              Contains("  paused for 5m, and no deadline runs"));
  d.set_paused(false);
  d.set_current_step(4);
  d.set_promoted(true);
  EXPECT_EQ(NextText(d, At(0)), "");
  d.set_promoted(false);
  d.set_promoted_all(true);
  EXPECT_EQ(NextText(d, At(0)), "");
  d.set_current_step(1);
  d.set_automatic_rollback(false);
  d.mutable_deadline_time()->set_seconds(100);
  EXPECT_EQ(NextText(d, At(50)), "");
  EXPECT_THAT(ProgressPanel(d, At(50), Width(80)), Contains("  waits for a person in 50s"));
  EXPECT_EQ(NextText(d, At(101)),
            "it does not roll back by itself: `remuda deployment rollback blue-3`");
  d.set_failed_evaluations(1);
  EXPECT_NE(NextText(d, At(50)), "");
}

TEST(DeployProgress, TimeLeft) {
  EXPECT_EQ(TimeLeft(Launching(), At(400)), "in 10m");
  EXPECT_EQ(TimeLeft(Launching(), At(941)), "in 59s");
  EXPECT_EQ(TimeLeft(Launching(), At(2000)), "in 0s");
  v1::Deployment d = Launching();
  d.set_paused(true);
  EXPECT_EQ(TimeLeft(d, At(0)), "") << "no deadline runs";
  d.set_paused(false);
  d.set_state(v1::DEPLOYMENT_STATE_SUCCEEDED);
  EXPECT_EQ(TimeLeft(d, At(0)), "");
}

TEST(DeployProgress, OutcomeSaysWhichVersionRuns) {
  v1::Deployment d = Launching();
  d.set_state(v1::DEPLOYMENT_STATE_SUCCEEDED);
  EXPECT_TRUE(HasEnded(d));
  EXPECT_EQ(OutcomeText(d), "blue-3: done, blue runs shop:2");
  EXPECT_EQ(ProgressLine(d), "SUCCEEDED");
  d.set_state(v1::DEPLOYMENT_STATE_ROLLED_BACK);
  d.set_rollback_reason("not healthy in time");
  EXPECT_EQ(OutcomeText(d), "blue-3: rolled back, blue runs shop:1: not healthy in time");
  d.set_state(v1::DEPLOYMENT_STATE_FAILED);
  EXPECT_TRUE(HasEnded(d));
  EXPECT_EQ(OutcomeText(d), "blue-3: failed, blue still runs shop:2: not healthy in time");
}

TEST(DeployProgress, AShiftNamesTargetGroups) {
  v1::Deployment d = Launching();
  d.clear_auto_scaling_group();
  d.clear_from();
  d.clear_to();
  d.mutable_shift()->set_listener("loadBalancers/shop/listeners/8080");
  d.mutable_shift()->set_from_target_group("targetGroups/blue");
  d.mutable_shift()->set_to_target_group("targetGroups/green");
  EXPECT_THAT(ProgressLine(d), HasSubstr("  blue: 2 in service, 100%  green: 0 in service"));
  EXPECT_EQ(ProgressPanel(d, At(0), Width(80))[1], "  lb/shop/8080: blue -> green, blue-green");
  d.set_state(v1::DEPLOYMENT_STATE_SUCCEEDED);
  EXPECT_EQ(OutcomeText(d), "blue-3: done, lb/shop/8080 sends to green");
  d.mutable_shift()->set_rule("loadBalancers/shop/listeners/8080/rules/10");
  d.set_state(v1::DEPLOYMENT_STATE_ROLLED_BACK);
  EXPECT_EQ(OutcomeText(d), "blue-3: rolled back, lb/shop/8080/10 sends to blue");
}

TEST(ProgressLinesTest, OnlyWhatIsNewIsTold) {
  ProgressLines lines;
  v1::Deployment d = WithEveryStep();
  d.set_current_step(4);
  d.add_warnings("mind the gap");
  EXPECT_THAT(lines.Next(d, At(0)),
              ElementsAre(HasSubstr("IN_PROGRESS 4/9 pause 10m"), "warning: mind the gap",
                          HasSubstr("next: it goes on by itself")));
  EXPECT_THAT(lines.Next(d, At(1)), IsEmpty());
  Evaluate(d, 10, v1::AnalysisEvaluation::VERDICT_PASSED);
  EXPECT_THAT(lines.Next(d, At(2)), ElementsAre("PASSED error-rate: 0.5% of 200 requests"));
  Evaluate(d, 20, v1::AnalysisEvaluation::VERDICT_FAILED);
  Evaluate(d, 30, v1::AnalysisEvaluation::VERDICT_INCONCLUSIVE);
  d.mutable_evaluations()->DeleteSubrange(0, 1);  // only the newest are kept
  EXPECT_THAT(lines.Next(d, At(3)), ElementsAre(StartsWith("FAILED"), StartsWith("INCONCLUSIVE")));
  EXPECT_THAT(lines.Next(d, At(4)), IsEmpty());
  d.set_paused(true);
  EXPECT_THAT(lines.Next(d, At(5)), ElementsAre(HasSubstr("(paused)"), HasSubstr("resume blue-3")));
  d.set_paused(false);
  d.mutable_deadline_time()->set_seconds(36);
  EXPECT_THAT(lines.Next(d, At(6)), ElementsAre(EndsWith("  (goes on in 30s)"), _));
  EXPECT_THAT(lines.Next(d, At(7)), IsEmpty()) << "time that passes is no news";
}

TEST(ProgressLinesTest, WhatWasMeasuredIsToldNowAndThenAndBeforeTheNextShare) {
  ProgressLines lines;
  v1::Deployment d = WithEveryStep();
  d.set_current_step(3);
  d.mutable_new_side()->set_traffic_percent(5);
  d.mutable_old_side()->set_traffic_percent(95);
  EXPECT_THAT(lines.Next(d, At(100)), ElementsAre(StartsWith("IN_PROGRESS 3/9")));
  Measure(*d.mutable_old_side(), 95, 0, 10, 20);
  Measure(*d.mutable_new_side(), 5, 1, 10, 20);
  EXPECT_THAT(
      lines.Next(d, At(101)),
      ElementsAre(
          "shop:1 95% wanted, measured 95.0%, 95 requests, errors 0.0%, p50 10ms, p99 20ms; "
          "shop:2 5% wanted, measured 5.0%, 5 requests, errors 20.0%, p50 10ms, p99 20ms"));
  d.mutable_old_side()->set_requests(195);
  EXPECT_THAT(lines.Next(d, At(120)), IsEmpty()) << "not so soon";
  EXPECT_THAT(lines.Next(d, At(131)), ElementsAre(HasSubstr("195 requests")));
  d.mutable_old_side()->set_requests(295);
  EXPECT_THAT(lines.Next(d, At(132)), IsEmpty());
  d.set_current_step(8);
  d.mutable_old_side()->set_requests(0);
  d.mutable_new_side()->set_requests(0);
  EXPECT_THAT(lines.Next(d, At(133)),
              ElementsAre(HasSubstr("295 requests"), StartsWith("IN_PROGRESS 8/9"), _))
      << "before it is forgotten";
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
