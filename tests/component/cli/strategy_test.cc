// What `remuda deploy` and `remuda shift` ask for: strategies, files, previews, plans.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/component/cli/command_fixture.h"

namespace remuda::testing_cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

class StrategyTest : public CommandTest {
 protected:
  StrategyTest() {
    state().deployment.set_name("deployments/blue-1");
    state().deployment.set_auto_scaling_group("blue");
  }

  // What the last deployment was asked for as, without the request's id.
  std::string Asked() {
    const auto requests = controller_.Requests("CreateDeployment");
    if (requests.empty()) return "";
    return requests.back().substr(0, requests.back().find(" request_id:"));
  }
  std::string AskedBy(std::vector<std::string> words) {
    words.push_back("--detach");
    const Finished finished = Run(words);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return Asked();
  }
  std::string DeployAsks(const std::vector<std::string>& flags) {
    std::vector<std::string> words = {"deploy", "asg/blue", "--template", "shop:2"};
    words.insert(words.end(), flags.begin(), flags.end());
    return AskedBy(words);
  }
  std::string ShiftAsks(const std::vector<std::string>& flags) {
    std::vector<std::string> words = {"shift", "lb/shop/8080", "--to", "green"};
    words.insert(words.end(), flags.begin(), flags.end());
    return AskedBy(words);
  }
};

const char kBlueTo[] =
    "deployment { auto_scaling_group: \"blue\" to { launch_template: \"shop\" version: \"2\" }";
const char kShift[] =
    "deployment { shift { listener: \"loadBalancers/shop/listeners/8080\" to_target_group: "
    "\"green\" }";

TEST_F(StrategyTest, EveryStrategyHasItsFlags) {
  struct Case {
    std::vector<std::string> flags;
    std::string strategy;
  };
  for (const Case& c : std::initializer_list<Case>{
           {{}, ""},
           {{"--bake", "1m"}, " strategy { blue_green { bake { seconds: 60 } } }"},
           {{"--strategy", "blue-green"}, " strategy { blue_green { } }"},
           {{"--strategy", "rolling", "--min-healthy-percent", "50", "--max-percent", "150",
             "--bake", "5s", "--checkpoints", "20,50", "--checkpoint-delay", "1m"},
            " strategy { rolling { min_healthy_percent: 50 max_percent: 150 bake { seconds: 5 } "
            "checkpoint_percents: 20 checkpoint_percents: 50 checkpoint_delay { seconds: 60 } } }"},
           {{"--strategy", "in-place", "--min-healthy", "0", "--bake", "5s"},
            " strategy { in_place { min_healthy_percent: 0 bake { seconds: 5 } } }"},
           {{"--strategy", "canary", "--percent", "5", "--interval", "10m", "--bake", "1s"},
            " strategy { canary { percent: 5 interval { seconds: 600 } bake { seconds: 1 } } }"},
           {{"--strategy", "linear", "--step-percent", "10", "--interval", "1m"},
            " strategy { linear { step_percent: 10 interval { seconds: 60 } } }"}}) {
    EXPECT_EQ(DeployAsks(c.flags), kBlueTo + c.strategy + " }");
  }
}

TEST_F(StrategyTest, AFlagThatDoesNotBelongNamesBoth) {
  struct Case {
    std::vector<std::string> words;
    const char* error;
  };
  const std::string file = File("how.yaml", "strategy: { canary: { percent: 5 } }");
  for (const Case& c : std::initializer_list<Case>{
           {{"--strategy", "rolling", "--percent", "5"},
            "--percent is not for --strategy rolling, but for canary"},
           {{"--percent", "5"}, "--percent is not for --strategy blue-green, but for canary"},
           {{"--strategy", "linear", "--percent", "5"},
            "--percent is not for --strategy linear, but for canary"},
           {{"--strategy", "canary", "--percent", "5", "--step-percent", "5"},
            "--step-percent is not for --strategy canary, but for linear"},
           {{"--strategy", "in-place", "--interval", "5s"},
            "--interval is not for --strategy in-place, but for canary and linear"},
           {{"--strategy", "canary", "--percent", "5", "--min-healthy-percent", "5"},
            "--min-healthy-percent is not for --strategy canary, but for rolling and in-place"},
           {{"--strategy", "in-place", "--max-percent", "150"},
            "--max-percent is not for --strategy in-place, but for rolling"},
           {{"--checkpoints", "20"},
            "--checkpoints is not for --strategy blue-green, but for rolling"},
           {{"--checkpoint-delay", "20s"},
            "--checkpoint-delay is not for --strategy blue-green, but for rolling"},
           {{"--strategy", "canary"}, "--strategy canary needs --percent"},
           {{"--strategy", "linear"}, "--strategy linear needs --step-percent"},
           {{"--strategy", "rolling", "--checkpoints", "20;50"}, "is not a list of per cents"},
           {{"--bake", "5"}, "--bake: \"5\" has no unit"},
           {{"--health-deadline", "5"}, "--health-deadline: \"5\" has no unit"},
           {{"--strategy", "sideways"}, "sideways not in"},
           {{"--preview-header", "x-canary"}, "--preview-header: \"x-canary\" is not NAME=VALUE"},
           {{"--preview-cookie", "=1"}, "--preview-cookie: \"=1\" is not NAME=VALUE"},
           {{"--preview-port", "8081"}, "--preview-port"},
           {{"--file", file, "--bake", "5s"}, "--bake is not for the strategy that "},
           {{"--file", file, "--strategy", "rolling"}, "has a strategy as well"},
           {{"--timeout", "0s"}, "0s is not within 1ms and 24h"}}) {
    std::vector<std::string> words = {"deploy", "asg/blue", "--template", "shop:2"};
    words.insert(words.end(), c.words.begin(), c.words.end());
    const Finished finished = Run(words);
    EXPECT_EQ(finished.exit_code, 2) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr(c.error));
  }
  for (const Case& c : std::initializer_list<Case>{
           {{"lb/shop/8080", "--to", "green", "--strategy", "rolling"}, "rolling not in"},
           {{"lb/shop/8080", "--to", "green", "--mirror", "5"}, "--mirror"},
           {{"lb/shop/8080"}, "--to is required"},
           {{"lb/shop", "--to", "green"}, "write lb/LOAD-BALANCER/LISTENER or"},
           {{"asg/blue/1/2", "--to", "green"}, "is not the name of a listener or rule"},
           {{"lb/shop/8080", "--to", "asg/green"}, "is not the name of a TargetGroup"}}) {
    std::vector<std::string> words = {"shift"};
    words.insert(words.end(), c.words.begin(), c.words.end());
    const Finished finished = Run(words);
    EXPECT_EQ(finished.exit_code, 2) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr(c.error));
  }
  EXPECT_THAT(controller_.Requests("CreateDeployment"), SizeIs(0));
}

TEST_F(StrategyTest, WithoutATemplateItIsTheNewestOfTheGroups) {
  auto& group = state().groups.emplace_back();
  group.set_name("autoScalingGroups/blue");
  group.mutable_launch_template()->set_launch_template("cart");
  EXPECT_EQ(AskedBy({"deploy", "blue"}),
            "deployment { auto_scaling_group: \"blue\" to { launch_template: \"cart\" } }");
  const Finished finished = Run({"deploy", "red"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("autoScalingGroups/red"));
}

TEST_F(StrategyTest, AFileSaysAllAndFlagsGoBeforeIt) {
  const std::string file = File("how.yaml", R"(kind: DeploymentSettings
strategy:
  steps:
  - traffic: 5
  - analysis: { duration: 1m, checks: [{ errorRate: { maxPercent: 1 } }] }
  - pause: 10m
  - approval: { name: security }
healthDeadline: 5m
automaticRollback: false
analysis: { checks: [{ latency: { max: 500ms } }] }
previews:
- httpHeader: { httpHeaderName: x-canary, values: ["yes"] }
mirror: { percent: 10, maxBodyBytes: 1024 }
)");
  EXPECT_EQ(DeployAsks({"--file", file}),
            kBlueTo + std::string(
                          " strategy { steps { traffic: 5 } steps { analysis { duration { seconds: "
                          "60 } checks { error_rate { max_percent: 1 } } } } steps { pause { "
                          "seconds: 600 } } steps { approval { name: \"security\" } } } "
                          "health_deadline { seconds: 300 } automatic_rollback: false analysis { "
                          "checks { latency { max { nanos: 500000000 } } } } previews { "
                          "http_header { http_header_name: \"x-canary\" values: \"yes\" } } mirror "
                          "{ percent: 10 max_body_bytes: 1024 } }"));
  EXPECT_THAT(DeployAsks({"-f", file, "--health-deadline", "90s", "--mirror", "1"}),
              AllOf(HasSubstr("health_deadline { seconds: 90 }"),
                    HasSubstr("mirror { percent: 1 max_body_bytes: 1024 }")));
  EXPECT_THAT(ShiftAsks({"-f", File("how.json", R"({"strategy": {"steps": [{"traffic": 50}]}})")}),
              HasSubstr("strategy { steps { traffic: 50 } }"));
}

TEST_F(StrategyTest, AFilesMistakesAreToldByItsLines) {
  Finished finished = Run({"deploy", "asg/blue", "--template", "shop:2", "--file",
                           File("how.yaml", "strategy:\n  kanary: {}\n")});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("how.yaml:2:3: strategy.kanary: unknown field"));
  finished = Run({"deploy", "asg/blue", "--file", root_ + "/none.yaml"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("none.yaml: cannot be read"));
  finished = Run({"deploy", "asg/blue", "--file", File("two.yaml", "mirror: {}\n---\nmirror: {}")});
  EXPECT_THAT(finished.err, HasSubstr("one YAML document with deployment settings is wanted"));
  EXPECT_THAT(controller_.Requests("CreateDeployment"), SizeIs(0));

  state().failure =
      InvalidField("deployment.strategy.steps[1].traffic", "120 is not within 0 and 100");
  finished = Run({"deploy", "asg/blue", "--template", "shop:2", "--file",
                  File("how.yaml", "strategy:\n  steps:\n  - traffic: 5\n  - traffic: 120\n")});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err,
              HasSubstr("how.yaml:4:5: strategy.steps[1].traffic: 120 is not within"));
  finished = Run({"deploy", "asg/blue", "--template", "shop:2"});
  EXPECT_THAT(finished.err, HasSubstr("remuda: deployment.strategy.steps[1].traffic: 120"));
}

TEST_F(StrategyTest, PreviewsMirrorAndWhatElseIsAskedFor) {
  EXPECT_EQ(
      DeployAsks({"--preview-header", "x-canary=a=b", "--preview-header", "x-more=1",
                  "--preview-cookie", "Tester=Yes", "--mirror", "20", "--no-rollback"}),
      kBlueTo + std::string(" automatic_rollback: false previews { http_header { http_header_name: "
                            "\"x-canary\" values: \"a=b\" } } previews { http_header { "
                            "http_header_name: \"x-more\" values: \"1\" } } previews { cookie { "
                            "name: \"Tester\" value: \"Yes\" } } mirror { percent: 20 } }"));
  EXPECT_THAT(DeployAsks({"--no-automatic-rollback"}), HasSubstr("automatic_rollback: false"));
  EXPECT_THAT(DeployAsks({"--supersede"}), HasSubstr("} supersede: true"));
  DeployAsks({"--unchanged"});
  EXPECT_THAT(controller_.Requests("CreateDeployment").back(), HasSubstr("refuse_failed: true"));
  EXPECT_THAT(DeployAsks({"--preview-header", "a=b"}), Not(HasSubstr("refuse_failed")));
}

TEST_F(StrategyTest, AShiftNamesItsActionAsOtherCommandsDo) {
  EXPECT_EQ(ShiftAsks({}), std::string(kShift) + " }");
  for (const char* word : {"shop/8080", "listener/shop/8080", "loadBalancers/shop/listeners/8080"})
    EXPECT_EQ(AskedBy({"shift", word, "--to", "tg/green"}), std::string(kShift) + " }") << word;
  for (const char* word : {"shop/8080/10", "lb/shop/8080/10", "rule/shop/8080/10",
                           "loadBalancers/shop/listeners/8080/rules/10"}) {
    EXPECT_THAT(AskedBy({"shift", word, "--to", "green"}),
                HasSubstr("shift { rule: \"loadBalancers/shop/listeners/8080/rules/10\" "))
        << word;
  }
  EXPECT_THAT(AskedBy({"shift", "lb/lb/8080", "--to", "green"}),
              HasSubstr("listener: \"loadBalancers/lb/listeners/8080\""));
  EXPECT_THAT(ShiftAsks({"--from", "targetGroups/blue", "--scale", "--strategy", "linear",
                         "--step-percent", "25", "--preview-port", "8081"}),
              AllOf(HasSubstr("from_target_group: \"blue\" to_target_group: \"green\" "
                              "scale_groups: true"),
                    HasSubstr("strategy { linear { step_percent: 25 } }"),
                    HasSubstr("previews { listener_port: 8081 }")));
}

TEST_F(StrategyTest, ADryRunPrintsThePlan) {
  v1::Deployment& d = state().deployment;
  d.mutable_from()->set_launch_template("shop");
  d.mutable_from()->set_resolved_version(1);
  *d.mutable_to() = d.from();
  d.mutable_to()->set_resolved_version(2);
  d.add_steps()->mutable_launch();
  d.add_steps()->set_traffic(100);
  d.add_warnings("h1 has no room for a second set");
  const Finished finished = Run({"deploy", "asg/blue", "--template", "shop:2", "--dry-run"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, StartsWith("plan of asg/blue: shop:1 -> shop:2, blue-green\n"
                                       "  1. launch the new instances (shop:2): next when "));
  EXPECT_THAT(finished.out, HasSubstr("\n  2. shift all of the traffic to shop:2: next when "));
  EXPECT_THAT(finished.out, HasSubstr("\nwarning: h1 has no room for a second set\n"));
  EXPECT_THAT(controller_.Requests("CreateDeployment")[0], HasSubstr("validate_only: true"));
  EXPECT_THAT(controller_.Requests("WatchDeployment"), SizeIs(0));
  for (const char* form : {"json", "yaml"}) {
    const Finished data = Run({"shift", "lb/shop/8080", "--to", "green", "--dry-run", "-o", form});
    EXPECT_EQ(data.exit_code, 0) << data.err;
    EXPECT_THAT(data.out, HasSubstr("h1 has no room for a second set"));
    EXPECT_THAT(data.out, Not(HasSubstr("plan of")));
  }
}

TEST_F(StrategyTest, ApplyNamesTheDeploymentThatAResourceBegan) {
  auto& result = *state().applied.add_results();
  result.set_name("autoScalingGroups/blue");
  result.set_outcome(v1::AppliedResource::OUTCOME_UPDATED);
  result.set_deployment("deployments/blue-7");
  const std::string file = File(
      "blue.yaml", "kind: AutoScalingGroup\nname: blue\nlaunchTemplate: { launchTemplate: a }");
  Finished finished = Run({"apply", "-f", file});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.out,
            "autoScalingGroups/blue updated\n  begins deployments/blue-7: watch it with `remuda "
            "deployment watch blue-7`\n");
  finished = Run({"apply", "-f", file, "--dry-run"});
  EXPECT_EQ(finished.out, "autoScalingGroups/blue would be updated\n  would begin a deployment\n");
  // --wait stays until it has ended, and exits as `deploy` does.
  auto& deployment = state().deployments.emplace_back();
  deployment.set_name("deployments/blue-7");
  deployment.set_auto_scaling_group("blue");
  deployment.set_state(v1::DEPLOYMENT_STATE_IN_PROGRESS);
  auto& group = state().groups.emplace_back();
  group.set_name("autoScalingGroups/blue");
  finished = Run({"apply", "-f", file, "--wait=1ms"});
  EXPECT_EQ(finished.exit_code, 3);
  EXPECT_THAT(finished.err, HasSubstr("waiting: blue-7: IN_PROGRESS"));
  state().deployments[0].set_state(v1::DEPLOYMENT_STATE_ROLLED_BACK);
  state().deployments[0].set_rollback_reason("too slow");
  finished = Run({"apply", "-f", file, "--wait"});
  EXPECT_EQ(finished.exit_code, 4) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("blue-7: rolled back"));
  state().deployments[0].set_state(v1::DEPLOYMENT_STATE_SUCCEEDED);
  EXPECT_EQ(Run({"apply", "-f", file, "--wait"}).exit_code, 0);
}

}  // namespace
}  // namespace remuda::testing_cli
