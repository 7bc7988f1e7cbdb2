// `remuda metrics`, `evaluations`, `policy`; and what `get` and `describe` say of a group's size.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "tests/component/cli/command_fixture.h"

namespace remuda::testing_cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ScalingTest : public CommandTest {
 protected:
  v1::GroupMetrics& AddMetrics(const std::vector<double>& cpu) {
    auto& metrics = state().metrics.emplace_back();
    metrics.set_auto_scaling_group("blue");
    metrics.mutable_period()->set_seconds(1);
    metrics.mutable_end_time()->set_seconds(1'764'000'000);
    auto& series = *metrics.add_series();
    series.set_metric("cpu");
    series.set_unit("%");
    series.mutable_values()->Add(cpu.begin(), cpu.end());
    return metrics;
  }
  v1::AutoScalingGroup& Blue() {
    auto& group = state().groups.emplace_back();
    group.set_name("autoScalingGroups/blue");
    group.set_min(1);
    group.set_desired(2);
    group.set_max(10);
    return group;
  }
  static v1::ScalingEvaluation Evaluation(int seconds, int before, int after) {
    v1::ScalingEvaluation evaluation;
    evaluation.mutable_time()->set_seconds(seconds);
    evaluation.set_desired_before(before);
    evaluation.set_desired_after(after);
    evaluation.set_outcome("wants " + std::to_string(after));
    return evaluation;
  }
};

TEST_F(ScalingTest, MetricsAreATableAndItsInstances) {
  auto& metrics = AddMetrics({10, std::nan(""), 40});
  metrics.add_instances()->set_instance("i-1");
  metrics.add_silent("hosts/h2");
  const Finished finished = Run({"metrics", "asg/blue", "--points", "3"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, StartsWith("asg/blue: 3 values, one each 1s, the last at "));
  EXPECT_THAT(finished.out,
              HasSubstr("\nsilent: hosts/h2; what they measure is missing\n\nMETRIC  LAST"));
  EXPECT_THAT(finished.out, HasSubstr("\ncpu     40%   10%     40%      10 - 40\n"));
  EXPECT_THAT(finished.out, HasSubstr("\ni-1       -    -"));
  EXPECT_THAT(controller_.Requests("GetMetrics"),
              ElementsAre("auto_scaling_group: \"autoScalingGroups/blue\" points: 3"));
  // What is missing is null: JSON has no other word for it.
  EXPECT_THAT(Run({"metrics", "blue", "-o", "json"}).out,
              HasSubstr("\"values\": [\n        10,\n        null,\n        40\n      ]"));
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"metrics"},
                                             {"metrics", "tg/blue"},
                                             {"metrics", "asg/blue", "--points", "721"},
                                             {"metrics", "asg/blue", "cpu"}}) {
    const Finished wrong = Run(words);
    EXPECT_EQ(wrong.exit_code, 2) << words.back();
    EXPECT_THAT(wrong.err, Not(HasSubstr("there is no command"))) << words.back();
  }
}

// util-linux's `script` gives the command a terminal.
TEST_F(ScalingTest, OnATerminalOfUtf8HistoriesAreBlocks) {
  AddMetrics({10, std::nan(""), 40});
  const auto shown = [&](const std::string& locale) {
    const std::string command =
        "LC_ALL=" + locale +
        " NO_COLOR=1 REMUDA_INSECURE=1 REMUDA_CONTROLLER=" + controller_.address() +
        " script -qec '" REMUDA_BIN_DIR "/remuda metrics blue' " + root_ +
        "/typescript >/dev/null </dev/null";
    EXPECT_EQ(std::system(command.c_str()), 0);
    return ReadAll(root_ + "/typescript");
  };
  EXPECT_THAT(shown("C.UTF-8"), HasSubstr("cpu     40%   10%     40%      \u2582 \u2588\r\n"));
  EXPECT_THAT(shown("C"), HasSubstr("cpu     40%   10%     40%      10 - 40\r\n"));
}

TEST_F(ScalingTest, AWatchOfMetricsIsALineANewValueAndGoesOnOverARestart) {
  auto first = std::make_unique<FakeController>();
  const int port = first->port();
  AddMetrics({1, 2});
  AddMetrics({3});
  first->state().metrics = state().metrics;
  first->state().hold_watch_open = true;
  RemudaProcess watch({"metrics", "asg/blue", "--watch"},
                      {{"REMUDA_CONTROLLER", "127.0.0.1:" + std::to_string(port)}});
  ASSERT_TRUE(WaitUntil([&] { return watch.out().ends_with("  cpu 3%\n"); })) << watch.err();
  EXPECT_THAT(watch.out(), StartsWith("asg/blue: 2 values"));
  first.reset();
  ASSERT_TRUE(WaitUntil([&] { return watch.err().find("is away") != std::string::npos; }));
  FakeController second(port);
  AddMetrics({7});
  {
    const std::lock_guard lock(second.state().mutex);
    second.state().metrics = {state().metrics[2]};
    second.state().hold_watch_open = true;
  }
  ASSERT_TRUE(WaitUntil([&] { return watch.out().ends_with("  cpu 7%\n"); })) << watch.out();
}

TEST_F(ScalingTest, AWatchOnATerminalIsDrawnAgain) {
  AddMetrics({10, 20});
  AddMetrics({40});
  // Ends with the stream: of a group that is gone the next one is refused.
  state().metrics[1].set_auto_scaling_group("blue");
  const std::string command =
      "LC_ALL=C.UTF-8 REMUDA_INSECURE=1 REMUDA_CONTROLLER=" + controller_.address() +
      " timeout 60 script -qec '" REMUDA_BIN_DIR "/remuda metrics blue --watch' " + root_ +
      "/typescript >/dev/null </dev/null &";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_TRUE(WaitUntil([&] {
    const std::string shown = ReadAll(root_ + "/typescript");
    return shown.find("\x1b[4A\x1b[J") != std::string::npos &&
           shown.find("\u2584\u2588\r\n") != std::string::npos;
  })) << ReadAll(root_ + "/typescript");
  // The next stream is refused, and so the command ends.
  {
    const std::lock_guard lock(state().mutex);
    state().failure = NotFound("autoScalingGroups/blue");
  }
  EXPECT_TRUE(WaitUntil([&] {
    return ReadAll(root_ + "/typescript").find("remuda: autoScalingGroups/blue") !=
           std::string::npos;
  }));
}

TEST_F(ScalingTest, BeforeTheFirstValueThereIsNoTableOfNone) {
  AddMetrics({}).add_instances()->set_instance("i-1");
  EXPECT_THAT(Run({"metrics", "blue"}).out,
              StartsWith("asg/blue: nothing is measured yet\n\nINSTANCE  CPU"));
}

TEST_F(ScalingTest, ValuesOfOwnMetricsAreGiven) {
  const Finished finished = Run({"metrics", "put", "asg/blue", "queue-depth=12", "age=0.5"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.out,
            "autoScalingGroups/blue: queue-depth is 12, age is 0.5, for five minutes\n");
  EXPECT_THAT(controller_.Requests("PutMetricData"),
              ElementsAre("auto_scaling_group: \"autoScalingGroups/blue\" data { name: "
                          "\"queue-depth\" value: 12 } data { name: \"age\" value: 0.5 }"));
  for (const char* wrong : {"queue-depth", "=1", "queue-depth=many", "queue-depth=nan", "a=inf"}) {
    const Finished refused = Run({"metrics", "put", "asg/blue", wrong});
    EXPECT_EQ(refused.exit_code, 2) << wrong;
    EXPECT_THAT(refused.err, HasSubstr("is not NAME=NUMBER, for example queue-depth=12"));
  }
  EXPECT_EQ(Run({"metrics", "put", "asg/blue"}).exit_code, 2);
}

TEST_F(ScalingTest, EvaluationsAreALogWithTheNewestLast) {
  state().evaluations = {Evaluation(1'764'000'060, 2, 4), Evaluation(1'764'000'000, 2, 2)};
  auto& part = *state().evaluations[0].add_policies();
  part.set_policy("rps");
  part.set_value(340);
  part.set_target(100);
  part.set_wanted(4);
  part.set_reason("3.4 times");
  const Finished finished = Run({"evaluations", "asg/blue", "--changes", "--limit", "7"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, StartsWith("TIME                 DESIRED  IN-SERVICE  POLICIES"));
  EXPECT_THAT(finished.out, EndsWith("  2 -> 4   0           rps 340/100 -> 4  wants 4\n"));
  EXPECT_LT(finished.out.find("wants 2"), finished.out.find("wants 4"));
  EXPECT_THAT(controller_.Requests("ListScalingEvaluations"),
              ElementsAre("parent: \"autoScalingGroups/blue\" page_size: 7 changes_only: true"));
  EXPECT_THAT(Run({"evaluations", "blue", "-o", "wide"}).out, EndsWith("  rps: 3.4 times\n"));
  EXPECT_THAT(Run({"evaluations", "blue", "-o", "json"}).out,
              AllOf(StartsWith("[\n  {\n    \"time\""), HasSubstr("\"value\": 340")));
  EXPECT_EQ(Run({"evaluations"}).exit_code, 2);
}

TEST_F(ScalingTest, AWatchOfEvaluationsPrintsWhatIsNew) {
  state().evaluations = {Evaluation(100, 2, 2)};
  RemudaProcess watch({"evaluations", "blue", "--watch"}, Environment());
  ASSERT_TRUE(WaitUntil([&] { return watch.out().ends_with("wants 2\n"); })) << watch.err();
  const std::string begin = watch.out();
  {
    // The same again is kept as the first and the last: no news.
    const std::lock_guard lock(state().mutex);
    state().evaluations = {Evaluation(200, 2, 2), Evaluation(100, 2, 2)};
  }
  const size_t asked = controller_.Requests("ListScalingEvaluations").size();
  ASSERT_TRUE(
      WaitUntil([&] { return controller_.Requests("ListScalingEvaluations").size() > asked + 1; }));
  EXPECT_EQ(watch.out(), begin);
  {
    const std::lock_guard lock(state().mutex);
    state().evaluations.insert(state().evaluations.begin(), Evaluation(300, 2, 3));
  }
  ASSERT_TRUE(WaitUntil([&] { return watch.out().ends_with("wants 3\n"); })) << watch.out();
  const std::string added = watch.out().substr(begin.size());
  EXPECT_EQ(std::count(added.begin(), added.end(), '\n'), 1) << added;
}

TEST_F(ScalingTest, AWatchOfEvaluationsGoesOnWhenItsControllersClockIsSetBack) {
  const auto answer = [&](std::vector<v1::ScalingEvaluation> evaluations) {
    const std::lock_guard lock(state().mutex);
    state().evaluations = std::move(evaluations);
  };
  answer({Evaluation(9000, 2, 2)});
  RemudaProcess watch({"evaluations", "blue", "--watch"}, Environment());
  ASSERT_TRUE(WaitUntil([&] { return watch.out().ends_with("wants 2\n"); })) << watch.err();
  const std::string begin = watch.out();
  answer({Evaluation(5400, 2, 3), Evaluation(9000, 2, 2)});
  ASSERT_TRUE(WaitUntil([&] { return watch.out().ends_with("wants 3\n"); })) << watch.out();
  // Of a row of equal ones the last is another each time.
  for (const int seconds : {5500, 5600}) {
    answer({Evaluation(seconds, 2, 3), Evaluation(5400, 2, 3), Evaluation(9000, 2, 2)});
    const size_t asked = controller_.Requests("ListScalingEvaluations").size();
    ASSERT_TRUE(WaitUntil(
        [&] { return controller_.Requests("ListScalingEvaluations").size() > asked + 1; }));
  }
  answer({Evaluation(5700, 3, 4), Evaluation(5650, 2, 3), Evaluation(5400, 2, 3),
          Evaluation(9000, 2, 2)});
  ASSERT_TRUE(WaitUntil([&] { return watch.out().ends_with("wants 4\n"); })) << watch.out();
  // One that knows nothing of all that.
  answer({Evaluation(100, 4, 5)});
  ASSERT_TRUE(WaitUntil([&] { return watch.out().ends_with("wants 5\n"); })) << watch.out();
  const std::string added = watch.out().substr(begin.size());
  EXPECT_EQ(std::count(added.begin(), added.end(), '\n'), 3) << added;
}

TEST_F(ScalingTest, PoliciesAreListedPutAgainAndDeleted) {
  auto& group = Blue();
  auto& rps = *group.add_policies();
  rps.set_name("rps");
  rps.mutable_target_tracking()->set_metric(v1::SCALING_METRIC_REQUEST_COUNT_PER_TARGET);
  rps.mutable_target_tracking()->set_target(100);
  auto& night = *group.add_policies();
  night.set_name("night");
  night.mutable_scheduled()->set_recurrence("* 20 * * *");
  night.mutable_scheduled()->set_max(2);
  EXPECT_THAT(Run({"policy", "list", "asg/blue"}).out,
              HasSubstr("\nrps    target-tracking  yes      REQUEST_COUNT_PER_TARGET  keep 100\n"));
  EXPECT_EQ(Run({"policy", "list", "blue", "-o", "name"}).out, "rps\nnight\n");
  // What is printed can be put: as documents, and as a list.
  for (const char* format : {"yaml", "json"}) {
    const std::string file = File("policies", Run({"policy", "list", "blue", "-o", format}).out);
    const Finished finished = Run({"policy", "put", "asg/blue", "-f", file});
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_THAT(finished.out, HasSubstr("night  scheduled        yes      -"));
    const auto requests = controller_.Requests("PutScalingPolicy");
    EXPECT_THAT(requests[requests.size() - 2],
                StartsWith("auto_scaling_group: \"autoScalingGroups/blue\" policy { " +
                           rps.ShortDebugString() + " } request_id: \"cli-"));
    EXPECT_THAT(requests.back(), HasSubstr("policy { " + night.ShortDebugString() + " }"));
  }
  const Finished deleted = Run({"policy", "delete", "asg/blue", "rps"});
  EXPECT_EQ(deleted.out,
            "autoScalingGroups/blue: policy rps deleted; the size that it set stays\n");
  EXPECT_THAT(controller_.Requests("DeleteScalingPolicy")[0],
              StartsWith("auto_scaling_group: \"autoScalingGroups/blue\" policy: \"rps\""));
  EXPECT_EQ(Run({"policy", "delete", "asg/blue"}).exit_code, 2);
  EXPECT_THAT(Run({"policy", "lst", "asg/blue"}).err, HasSubstr("did you mean list?"));
}

TEST_F(ScalingTest, APolicysMistakesAreToldByFileAndLine) {
  const std::string file =
      File("policy.yaml", "name: rps\ntargetTracking:\n  metric: CPUS\n  target: 100\n");
  const Finished wrong = Run({"policy", "put", "asg/blue", "-f", file});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("policy.yaml:3:11: targetTracking.metric: "));
  EXPECT_THAT(controller_.Requests("PutScalingPolicy"), ElementsAre());
  state().failure = InvalidField("policy.target_tracking.target", "-1 is not above 0");
  const std::string other =
      File("other.yaml",
           "name: rps\ntargetTracking:\n  metric: AVERAGE_CPU_UTILIZATION\n  target: -1\n");
  const Finished refused = Run({"policy", "put", "asg/blue", "-f", other, "--dry-run"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("other.yaml:4:3: targetTracking.target: -1 is not above 0"));
  EXPECT_THAT(controller_.Requests("PutScalingPolicy").back(), HasSubstr("validate_only: true"));
}

TEST_F(ScalingTest, OfPoliciesOfWhichOneIsWrongNoneIsPut) {
  state().refused_policy = "night";
  const std::string file = File("policies.yaml",
                                "name: day\nscheduled: {recurrence: 0 8 1 1 1, min: 2}\n"
                                "---\n"
                                "name: night\nscheduled:\n  recurrence: 0 25 1 1 1\n  min: 1\n");
  const Finished refused = Run({"policy", "put", "asg/blue", "-f", file});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_EQ(refused.out, "");
  EXPECT_THAT(refused.err,
              HasSubstr("policies.yaml:6:3: scheduled.recurrence: is no cron expression"));
  EXPECT_THAT(controller_.Requests("PutScalingPolicy"),
              ElementsAre(HasSubstr("validate_only: true"), HasSubstr("validate_only: true")));
}

TEST_F(ScalingTest, AForecastIsATable) {
  state().forecast.set_policy("daily");
  state().forecast.set_missing("6h of history, 24h are needed");
  EXPECT_EQ(Run({"policy", "forecast", "asg/blue", "daily"}).out,
            "daily foresees nothing: 6h of history, 24h are needed\n");
  state().forecast.clear_missing();
  state().forecast.set_error_percent(8);
  auto& point = *state().forecast.add_points();
  point.mutable_time()->set_seconds(1'764'000'000);
  point.set_load(1200);
  point.set_capacity(12);
  const Finished finished = Run({"policy", "forecast", "asg/blue", "daily"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, StartsWith("forecasts were off by 8% of the mean load\nTIME"));
  EXPECT_THAT(finished.out, EndsWith("  1200  12\n"));
  EXPECT_THAT(controller_.Requests("GetPredictiveForecast").back(),
              "auto_scaling_group: \"autoScalingGroups/blue\" policy: \"daily\"");
}

TEST_F(ScalingTest, TheSizeInForceIsShownAndWaitedFor) {
  auto& group = Blue();
  group.mutable_capacity()->set_desired(4);
  group.mutable_capacity()->set_set_by("rps");
  group.mutable_status()->set_in_service(4);
  EXPECT_THAT(Run({"get", "asg"}).out, HasSubstr("  1/4*/10"));
  EXPECT_THAT(Run({"get", "asg", "-o", "wide"}).out, HasSubstr("SIZED-BY"));
  const Finished settled = Run({"scale", "asg/blue", "--desired", "2", "--wait=1s"});
  EXPECT_EQ(settled.exit_code, 0) << settled.err;
  state().groups[0].mutable_status()->set_in_service(2);
  EXPECT_THAT(Run({"scale", "asg/blue", "--desired", "2", "--wait=1ms"}).err,
              HasSubstr("2 of 4 in service"));
}

TEST_F(ScalingTest, DescribeSaysWhyTheGroupHasItsSize) {
  auto& group = Blue();
  group.mutable_capacity()->set_desired(4);
  group.mutable_capacity()->set_set_by("rps");
  group.mutable_capacity()->set_cause("340 requests a second");
  group.mutable_status()->set_scaling("rps wants 4");
  auto& rps = *group.add_policies();
  rps.set_name("rps");
  rps.mutable_target_tracking()->set_target(100);
  state().evaluations = {Evaluation(200, 2, 4), Evaluation(100, 2, 2)};
  const Finished finished = Run({"describe", "asg", "blue"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out,
              HasSubstr("\nSize:\n  4 instances are wanted, set by policy rps (a person wrote 2): "
                        "340 requests a second\n  min 1, max 10\n  policies: rps wants 4\n"));
  EXPECT_THAT(finished.out, HasSubstr("\nPolicies:\nNAME  KIND"));
  EXPECT_THAT(finished.out, HasSubstr("\nEvaluations, the newest last:\nTIME"));
  EXPECT_THAT(finished.out, HasSubstr("2 -> 4"));
  EXPECT_THAT(Run({"describe", "asg", "blue", "-o", "yaml"}).out, Not(HasSubstr("Size:")));
}

}  // namespace
}  // namespace remuda::testing_cli
