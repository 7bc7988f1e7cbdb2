#include "cli/deploy_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace remuda::cli {
namespace {

using ::testing::ElementsAre;

v1::Deployment OfGroup() {
  v1::Deployment d;
  d.set_auto_scaling_group("autoScalingGroups/blue");
  d.mutable_from()->set_launch_template("launchTemplates/shop");
  d.mutable_from()->set_resolved_version(1);
  d.mutable_to()->set_launch_template("launchTemplates/shop");
  d.mutable_to()->set_resolved_version(2);
  return d;
}

TEST(DeployWords, Times) {
  EXPECT_EQ(TimeText(0), "0s");
  EXPECT_EQ(TimeText(119), "119s");
  EXPECT_EQ(TimeText(120), "2m");
  EXPECT_EQ(TimeText(125), "2m5s");
  EXPECT_EQ(TimeText(3600), "1h");
  EXPECT_EQ(TimeText(86399), "23h59m59s");
}

TEST(DeployWords, ChecksSayTheirRule) {
  v1::AnalysisCheck check;
  EXPECT_EQ(CheckWords(check), "?");
  check.mutable_error_rate();
  EXPECT_EQ(CheckWords(check), "error-rate at most 1%");
  check.set_name("error-rate");
  EXPECT_EQ(CheckWords(check), "error-rate at most 1%") << "the name says no more";
  check.set_name("ours");
  check.mutable_error_rate()->set_max_increase_percent(0.5);
  EXPECT_EQ(CheckWords(check), "ours: error-rate at most 0.5 points above the old side's");
  check.mutable_error_rate()->set_max_percent(2);
  check.clear_name();
  EXPECT_EQ(CheckWords(check), "error-rate at most 2% and at most 0.5 points above the old side's");
  check.mutable_latency()->mutable_max()->set_nanos(500'000'000);
  EXPECT_EQ(CheckWords(check), "p99 at most 500ms");
  check.mutable_latency()->set_percentile(99.9);
  check.mutable_latency()->set_max_ratio(1.5);
  EXPECT_EQ(CheckWords(check), "p99.9 at most 500ms and at most 1.5 times the old side's");
  check.mutable_webhook()->set_url("http://127.0.0.1:1/ok");
  EXPECT_EQ(CheckWords(check), "webhook http://127.0.0.1:1/ok");
  check.mutable_prometheus()->set_query("up");
  check.mutable_prometheus()->set_min(1);
  check.mutable_prometheus()->set_max(2);
  EXPECT_EQ(CheckWords(check), "prometheus up at least 1 at most 2");
  check.mutable_command()->add_argv("/bin/check");
  check.mutable_command()->add_argv("-v");
  EXPECT_EQ(CheckWords(check), "command /bin/check -v");
}

TEST(DeployWords, ThePlanNumbersItsStepsWithTheirGates) {
  v1::Deployment d = OfGroup();
  d.add_steps()->mutable_launch()->set_percent(10);
  d.add_steps()->set_traffic(5);
  auto& analysis = *d.add_steps()->mutable_analysis();
  analysis.add_checks()->mutable_error_rate();
  analysis.set_failure_limit(2);
  d.add_steps()->mutable_pause()->set_seconds(600);
  d.add_steps()->mutable_approval()->set_name("security");
  d.add_steps()->set_traffic(100);
  d.add_steps()->mutable_bake()->set_seconds(30);
  d.add_steps()->mutable_drain()->set_role(v1::DEPLOYMENT_ROLE_OLD);
  d.mutable_strategy()->add_steps();
  *d.mutable_analysis() = analysis;
  d.mutable_analysis()->clear_failure_limit();
  auto& header = *d.add_previews()->mutable_http_header();
  header.set_http_header_name("x-canary");
  header.add_values("yes");
  d.add_previews()->mutable_cookie()->set_name("tester");
  d.mutable_previews(1)->mutable_cookie()->set_value("1");
  d.mutable_mirror()->set_percent(20);
  d.mutable_health_deadline()->set_seconds(300);
  d.add_warnings("no host has room for both");
  EXPECT_THAT(
      PlanLines(d),
      ElementsAre(
          "plan of asg/blue: shop:1 -> shop:2, steps",
          "  1. launch 10% of the new instances (shop:2): next when they are in service and every "
          "live proxy finds them healthy",
          "  2. shift 5% of the traffic to shop:2: next when every live proxy has confirmed it",
          "  3. look at shop:2 for 60s, every 10s, 2 in a row may fail: error-rate at most 1%; "
          "next "
          "when the newest evaluation passes then",
          "  4. pause for 10m: over with the time, or when a person promotes",
          "  5. wait until a person approves: security",
          "  6. shift all of the traffic to shop:2: next when every live proxy has confirmed it",
          "  7. bake for 30s: shop:1 stays warm; over with the time, or when a person promotes",
          "  8. drain and end the old instances (shop:1): done when they are gone",
          "while it has a share, every 10s: error-rate at most 1%",
          "preview: requests with the header x-canary: yes reach shop:2 as soon as it is ready",
          "preview: requests with the cookie tester=1 reach shop:2 as soon as it is ready",
          "mirror: 20% of the requests are copied to shop:2, and its answers thrown away",
          "rolls back by itself when it fails, and when a step that waits for no time is not over "
          "within 5m",
          "warning: no host has room for both"));
}

TEST(DeployWords, PlansOfBatches) {
  v1::Deployment d = OfGroup();
  d.mutable_strategy()->mutable_rolling();
  d.set_automatic_rollback(false);
  auto& replace = *d.add_steps()->mutable_replace();
  replace.set_percent(20);
  replace.set_min_healthy_percent(50);
  replace.set_max_percent(100);
  replace.mutable_bake()->set_seconds(5);
  d.add_steps()->mutable_replace();
  d.add_steps()->mutable_update();
  EXPECT_THAT(
      PlanLines(d),
      ElementsAre(
          "plan of asg/blue: shop:1 -> shop:2, rolling",
          "  1. replace shop:1 by shop:2 batch by batch, until 20% of the instances are: "
          "at least 50% healthy, at most 100% at once, each batch serves 5s before the next",
          "  2. replace shop:1 by shop:2 batch by batch, until all of the instances are: "
          "at least 90% healthy, at most 110% at once",
          "  3. change instances to shop:2 in place, batch by batch, until all of them "
          "are: at least 90% healthy",
          "waits for a person when it fails, and when a step that waits for no time is not "
          "over within 10m"));
}

TEST(DeployWords, ThePlanOfAShiftNamesTargetGroups) {
  v1::Deployment d;
  d.mutable_shift()->set_rule("loadBalancers/shop/listeners/8080/rules/10");
  d.mutable_shift()->set_from_target_group("targetGroups/blue");
  d.mutable_shift()->set_to_target_group("targetGroups/green");
  d.add_steps()->mutable_launch();
  d.add_steps()->set_traffic(100);
  d.add_steps()->mutable_drain()->set_role(v1::DEPLOYMENT_ROLE_OLD);
  d.add_previews()->set_listener_port(8081);
  std::vector<std::string> lines = PlanLines(d);
  lines.pop_back();
  EXPECT_THAT(
      lines,
      ElementsAre(
          "plan of lb/shop/8080/10: blue -> green, blue-green",
          "  1. wait for the targets of green: next when every live proxy finds them healthy",
          "  2. shift all of the traffic to green: next when every live proxy has confirmed it",
          "  3. let what blue still answers come to its end",
          "preview: requests to port 8081 reach green as soon as it is ready"));
  d.mutable_shift()->set_scale_groups(true);
  lines = PlanLines(d);
  EXPECT_EQ(lines[1],
            "  1. scale up the group behind green: next when every live proxy finds them healthy");
  EXPECT_EQ(lines[3], "  3. scale down the group behind blue: done when they are gone");
}

}  // namespace
}  // namespace remuda::cli
