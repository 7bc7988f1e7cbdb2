// The real `remuda` program against a controller that answers what the test says: outputs,
// requests, exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "common/sha256.h"
#include "tests/component/cli/fake_controller.h"
#include "tests/component/cli/remuda_process.h"

namespace remuda::testing_cli {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

class CommandTest : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(root_); }

  std::map<std::string, std::string> Environment() const {
    return {{"REMUDA_CONTROLLER", controller_.address()}};
  }
  Finished Run(const std::vector<std::string>& arguments) const {
    return RunRemuda(arguments, Environment());
  }
  std::string File(const std::string& name, const std::string& text) const {
    WriteAll(root_ + "/" + name, text);
    return root_ + "/" + name;
  }
  FakeState& state() { return controller_.state(); }

  FakeController controller_;
  const std::string root_ = MakeTempDir();
};

// Where the steps stand: of a blue/green deployment, the last two of a rollback.
enum class At { kLaunch = 1, kShift, kBake, kDrain, kLaunchBack };

v1::Deployment DeploymentIn(v1::DeploymentState state, At at = At::kDrain) {
  v1::Deployment d;
  d.set_name("deployments/blue-1");
  d.set_auto_scaling_group("blue");
  d.mutable_from()->set_launch_template("shop");
  d.mutable_from()->set_resolved_version(1);
  d.mutable_to()->set_launch_template("shop");
  d.mutable_to()->set_resolved_version(2);
  d.set_state(state);
  d.add_steps()->mutable_launch()->set_role(v1::DEPLOYMENT_ROLE_NEW);
  d.add_steps()->mutable_shift()->set_traffic_percent(100);
  d.add_steps()->mutable_bake()->mutable_duration()->set_seconds(60);
  d.add_steps()->mutable_drain()->set_role(v1::DEPLOYMENT_ROLE_OLD);
  d.add_steps()->mutable_launch()->set_role(v1::DEPLOYMENT_ROLE_OLD);
  d.set_current_step(static_cast<int>(at));
  return d;
}

TEST_F(CommandTest, ApplySendsAllFilesAndShowsEachChange) {
  fs::create_directories(root_ + "/shop");
  File("shop/b.yaml", "kind: TargetGroup\nname: blue\nhealthCheck: {interval: 2s}\n");
  File("shop/a.yml", "kind: LaunchTemplate\nname: shop\n---\nkind: LoadBalancer\nname: shop\n");
  File("shop/notes.txt", "not a manifest");
  auto* made = state().applied.add_results();
  made->set_name("launchTemplates/shop/versions/1");
  made->set_outcome(v1::AppliedResource::OUTCOME_CREATED);
  auto* updated = state().applied.add_results();
  updated->set_name("targetGroups/blue");
  updated->set_outcome(v1::AppliedResource::OUTCOME_UPDATED);
  updated->add_changes("health_check.interval: 1s -> 2s");
  auto* same = state().applied.add_results();
  same->set_name("loadBalancers/shop");
  same->set_outcome(v1::AppliedResource::OUTCOME_UNCHANGED);

  Finished finished = Run({"apply", "-f", root_ + "/shop"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.out,
            "launchTemplates/shop/versions/1 created\ntargetGroups/blue updated\n  "
            "health_check.interval: "
            "1s -> 2s\n"
            "loadBalancers/shop unchanged\n");
  const auto requests = controller_.Requests("ApplyResources");
  ASSERT_THAT(requests, SizeIs(1));
  EXPECT_THAT(
      requests[0],
      HasSubstr("resources { launch_template { name: \"shop\" } } resources { load_balancer"));
  EXPECT_THAT(requests[0], HasSubstr("request_id: \"cli-"));

  finished = Run({"apply", "--dry-run", "-f", root_ + "/shop/b.yaml"});
  EXPECT_THAT(finished.out, HasSubstr("launchTemplates/shop/versions/1 would be created"));
  EXPECT_THAT(controller_.Requests("ApplyResources").back(), HasSubstr("validate_only: true"));
}

TEST_F(CommandTest, ApplyPutsTheControllersObjectionToFileAndLine) {
  const std::string file = File("asg.yaml", "kind: AutoScalingGroup\nname: blue\nmin: 3\nmax: 2\n");
  state().failure = InvalidField("resources[0].max", "2 is below min 3");
  const Finished finished = Run({"apply", "-f", file});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_EQ(finished.out, "");
  EXPECT_EQ(finished.err, file +
                              ":4:1: AutoScalingGroup blue: max: 2 is below min 3\nremuda apply: "
                              "nothing was applied\n");
}

TEST_F(CommandTest, ApplyWithAMistakeInOneFileSendsNothing) {
  const std::string good = File("a.yaml", "kind: TargetGroup\nname: a\n");
  const std::string bad = File("b.yaml", "kind: TargetGroup\nname: b\nhelth: 1\n");
  const Finished finished = Run({"apply", "-f", good, "-f", bad});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, StartsWith(bad + ":3:1: helth: unknown field"));
  EXPECT_THAT(finished.err, HasSubstr("nothing was applied"));
  EXPECT_THAT(controller_.Requests("ApplyResources"), SizeIs(0));
}

TEST_F(CommandTest, GetListsAllPagesAsTableJsonAndYaml) {
  state().page_size = 2;
  for (const char* id : {"blue", "green", "red", "teal", "white"}) {
    auto& group = state().groups.emplace_back();
    group.set_name(std::string("autoScalingGroups/") + id);
    group.mutable_launch_template()->set_launch_template("shop");
    group.mutable_launch_template()->set_resolved_version(3);
    group.set_max(4);
    group.set_desired(2);
  }
  Finished finished = Run({"get", "asg"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, StartsWith("NAME   TEMPLATE  RUNS  MIN/DESIRED/MAX"));
  EXPECT_THAT(finished.out, HasSubstr("\nwhite  shop:3    -     0/2/4"));
  EXPECT_THAT(controller_.Requests("ListAutoScalingGroups"), SizeIs(3));

  finished = Run({"get", "asg/blue", "-o", "json"});
  EXPECT_THAT(
      finished.out,
      StartsWith("{\n  \"kind\": \"AutoScalingGroup\",\n  \"name\": \"autoScalingGroups/blue\""));
  finished = Run({"get", "asg", "blue", "-o", "yaml"});
  EXPECT_THAT(finished.out, StartsWith("kind: AutoScalingGroup\nname: autoScalingGroups/blue\n"));
  finished = Run({"get", "asg", "-o", "json"});
  EXPECT_THAT(finished.out, StartsWith("[\n  {\n    \"kind\""));
  EXPECT_THAT(finished.out, testing::EndsWith("  }\n]\n"));
}

TEST_F(CommandTest, GetOfNothing) {
  EXPECT_EQ(Run({"get", "hosts", "-o", "json"}).out, "[]\n");
  const Finished finished = Run({"get", "asg", "frog"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_EQ(finished.err, "remuda: autoScalingGroups/frog: no such resource\n");
}

TEST_F(CommandTest, GetWatchPrintsWhatChanges) {
  state().hosts.emplace_back().set_name("hosts/h1");
  RemudaProcess watch({"get", "hosts", "--watch"}, Environment());
  ASSERT_TRUE(WaitUntil([&] { return watch.out().find("h1") != std::string::npos; }))
      << watch.err();
  {
    const std::lock_guard lock(state().mutex);
    state().hosts.emplace_back().set_name("hosts/h2");
  }
  EXPECT_TRUE(WaitUntil([&] { return watch.out().find("h2") != std::string::npos; }))
      << watch.out();
  EXPECT_EQ(watch.out().find("h1"), watch.out().rfind("h1"));  // It has not changed.
}

TEST_F(CommandTest, GetWatchWaitsForAControllerThatGoesAway) {
  auto first = std::make_unique<FakeController>();
  first->state().hosts.emplace_back().set_name("hosts/h1");
  RemudaProcess watch({"get", "hosts", "-w", "--controller", first->address()}, {});
  ASSERT_TRUE(WaitUntil([&] { return watch.out().find("h1") != std::string::npos; }))
      << watch.err();
  const int port = first->port();
  first.reset();
  ASSERT_TRUE(
      WaitUntil([&] { return watch.err().find("controller is away") != std::string::npos; }));
  FakeController second(port);
  {
    const std::lock_guard lock(second.state().mutex);
    second.state().hosts.emplace_back().set_name("hosts/h2");
  }
  EXPECT_TRUE(WaitUntil([&] { return watch.out().find("h2") != std::string::npos; }))
      << watch.err();
  EXPECT_TRUE(WaitUntil([&] { return watch.err().find("hosts/h1 is gone") != std::string::npos; }));
}

TEST_F(CommandTest, DescribeShowsInstancesTargetsAndActivities) {
  auto& group = state().groups.emplace_back();
  group.set_name("autoScalingGroups/blue");
  group.add_target_groups("blue");
  auto& instance = state().instances.emplace_back();
  instance.set_name("instances/i-1");
  instance.set_state(v1::INSTANCE_STATE_IN_SERVICE);
  auto& target = state().targets.emplace_back();
  target.set_name("targetGroups/blue/targets/i-1");
  target.set_state(v1::TARGET_STATE_UNHEALTHY);
  target.set_reason("Target.Timeout");
  for (const char* text :
       {"second thing", "first thing"}) {  // The controller lists the newest first.
    state().activities.emplace_back().set_description(text);
  }
  const Finished finished = Run({"describe", "asg/blue"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, StartsWith("kind: AutoScalingGroup\n"));
  EXPECT_THAT(finished.out, HasSubstr("i-1"));
  EXPECT_THAT(finished.out, HasSubstr("Target.Timeout"));
  EXPECT_LT(finished.out.find("first thing"), finished.out.find("second thing"));
  EXPECT_THAT(controller_.Requests("ListActivities")[0],
              HasSubstr("resource: \"autoScalingGroups/blue\""));
}

TEST_F(CommandTest, ScaleAsksForWhatWasGivenAndNoMore) {
  Finished finished = Run({"scale", "asg/blue", "--desired", "2"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(controller_.Requests("SetDesiredCapacity")[0],
              StartsWith("name: \"autoScalingGroups/blue\" desired: 2"));
  finished = Run({"scale", "blue", "--min", "0", "--max", "5"});
  EXPECT_THAT(controller_.Requests("UpdateAutoScalingGroup")[0],
              HasSubstr("update_mask { paths: \"min\" paths: \"max\" }"));
}

TEST_F(CommandTest, DeleteForcesOnlyGroups) {
  EXPECT_EQ(Run({"delete", "asg/blue", "--force"}).exit_code, 0);
  EXPECT_THAT(controller_.Requests("DeleteAutoScalingGroup")[0], HasSubstr("force: true"));
  EXPECT_EQ(Run({"delete", "lb/shop", "--force"}).exit_code, 2);
  EXPECT_EQ(Run({"delete", "asg"}).exit_code, 2);
}

TEST_F(CommandTest, DeployPrintsALineAChangeAndEndsWell) {
  state().deployment = DeploymentIn(v1::DEPLOYMENT_STATE_IN_PROGRESS, At::kLaunch);
  for (const At at : {At::kLaunch, At::kLaunch, At::kShift})
    state().progress.push_back(DeploymentIn(v1::DEPLOYMENT_STATE_IN_PROGRESS, at));
  state().progress.push_back(DeploymentIn(v1::DEPLOYMENT_STATE_SUCCEEDED));
  const Finished finished = Run(
      {"deploy", "asg/blue", "--template", "shop:2", "--bake", "1m", "--health-deadline", "90s"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("blue-1: done, blue runs shop:2\n"));
  EXPECT_EQ(finished.out.find("launch new"), finished.out.rfind("launch new"));
  EXPECT_THAT(finished.out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(controller_.Requests("CreateDeployment")[0],
              StartsWith("deployment { auto_scaling_group: \"blue\" to { launch_template: \"shop\" "
                         "version: \"2\" } strategy { blue_green "
                         "{ bake { seconds: 60 } } } health_deadline { seconds: 90 } }"));
}

// util-linux's `script` gives the command a terminal.
TEST_F(CommandTest, OnATerminalTheProgressIsRedrawn) {
  state().deployment = DeploymentIn(v1::DEPLOYMENT_STATE_IN_PROGRESS, At::kLaunch);
  state().progress.push_back(DeploymentIn(v1::DEPLOYMENT_STATE_SUCCEEDED));
  const std::string command = "REMUDA_CONTROLLER=" + controller_.address() +
                              " script -qec '" REMUDA_BIN_DIR
                              "/remuda deploy asg/blue --template shop:2' " +
                              root_ + "/typescript >/dev/null </dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0) << ReadAll(root_ + "/typescript");
  const std::string shown = ReadAll(root_ + "/typescript");
  EXPECT_THAT(shown, HasSubstr("blue-1  IN_PROGRESS 1/5 launch new"));
  EXPECT_THAT(shown,
              HasSubstr("\x1b[3A\x1b[J"));  // Up over the three lines of the panel, and clear.
  EXPECT_LT(shown.find("\x1b[3A"), shown.find("blue-1  SUCCEEDED"));
  EXPECT_THAT(shown, HasSubstr("blue-1: done, blue runs shop:2"));
}

TEST_F(CommandTest, ADeploymentThatCouldGoNeitherOnNorBackExitsWith1) {
  state().deployment = DeploymentIn(v1::DEPLOYMENT_STATE_ROLLING_BACK, At::kLaunchBack);
  v1::Deployment failed = DeploymentIn(v1::DEPLOYMENT_STATE_FAILED);
  failed.set_rollback_reason("shop:1 was not ready within 10m");
  state().progress.push_back(failed);
  const Finished finished = Run({"deployment", "rollback", "asg/blue"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.out, HasSubstr("failed, blue still runs shop:2: shop:1 was not ready"));
}

TEST_F(CommandTest, ADeploymentThatWasRolledBackExitsWith4) {
  state().deployment = DeploymentIn(v1::DEPLOYMENT_STATE_IN_PROGRESS, At::kLaunch);
  v1::Deployment back = DeploymentIn(v1::DEPLOYMENT_STATE_ROLLED_BACK);
  back.set_rollback_reason("not healthy in time");
  state().progress.push_back(back);
  Finished finished = Run({"deploy", "asg/blue", "--template", "shop:2"});
  EXPECT_EQ(finished.exit_code, 4);
  EXPECT_THAT(finished.out, HasSubstr("rolled back, blue runs shop:1: not healthy in time"));
  EXPECT_THAT(finished.out, Not(HasSubstr("remuda logs")));
  auto& instance = state().instances.emplace_back();
  instance.set_name("instances/i-0000000007");
  instance.set_deployment("blue-1");
  instance.set_unhealthy(true);
  finished = Run({"deploy", "asg/blue", "--template", "shop:2"});
  EXPECT_THAT(finished.out, Not(HasSubstr("remuda logs"))) << "it never ran";
  // Of one that failed, what it printed and how to see all of it stand last.
  auto& activity = state().activities.emplace_back();
  activity.set_instance("i-0000000007");
  activity.set_log_tail("Error: no database\n    at main\n");
  const std::string trouble =
      "i-0000000007 printed last:\n  Error: no database\n      at main\n"
      "all that it printed: `remuda logs i-0000000007`\n";
  finished = Run({"deploy", "asg/blue", "--template", "shop:2"});
  EXPECT_THAT(finished.out, EndsWith("not healthy in time\n" + trouble));
  for (const std::string& request : controller_.Requests("ListInstances")) {
    EXPECT_THAT(request, HasSubstr("show_terminated: true"));
  }
  EXPECT_THAT(Run({"deployment", "status", "blue-1"}).out, EndsWith(trouble));
  // What runs, but is not healthy, has no activity with its last lines: they are read.
  state().activities.clear();
  state().log_text = "listening on port 3000\n";
  EXPECT_THAT(Run({"deployment", "status", "blue-1"}).out,
              EndsWith("\ni-0000000007 printed last:\n  listening on port 3000\n"
                       "all that it printed: `remuda logs i-0000000007`\n"));
  state().log_text = std::string(9000, 'x') + "\n" + std::string(3000, 'y') + "\n";
  EXPECT_THAT(Run({"deployment", "status", "blue-1"}).out,
              EndsWith("\ni-0000000007 printed last:\n  " + std::string(3000, 'y') +
                       "\nall that it printed: `remuda logs i-0000000007`\n"));
  // One that a person asked for is no failure.
  finished = Run({"deployment", "rollback", "asg/blue", "--reason", "why not"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, Not(HasSubstr("remuda logs")));
  EXPECT_THAT(controller_.Requests("RollbackDeployment")[0],
              StartsWith("name: \"deployments/blue-1\" reason: \"why not\""));
}

// Asked for again of the group, a rollback is what it is; by its name it is led out of.
TEST_F(CommandTest, ARollbackOfTheGroupDoesNotUndoTheOneUnderWay) {
  state().deployment = DeploymentIn(v1::DEPLOYMENT_STATE_IN_PROGRESS, At::kLaunch);
  state().deployment.set_rollback_of("blue-0");
  state().progress.push_back(DeploymentIn(v1::DEPLOYMENT_STATE_SUCCEEDED));
  Finished finished = Run({"deployment", "rollback", "asg/blue"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(controller_.Requests("RollbackDeployment"), SizeIs(0));
  finished = Run({"deployment", "rollback", "blue-1", "--detach"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(controller_.Requests("RollbackDeployment"), SizeIs(1));
}

TEST_F(CommandTest, CtrlCStopsWatchingAndSaysHowToGoOn) {
  state().deployment = DeploymentIn(v1::DEPLOYMENT_STATE_IN_PROGRESS, At::kLaunch);
  state().progress.push_back(DeploymentIn(v1::DEPLOYMENT_STATE_IN_PROGRESS, At::kBake));
  state().hold_watch_open = true;
  RemudaProcess deploy({"deploy", "asg/blue", "--template", "shop:2"}, Environment());
  ASSERT_TRUE(WaitUntil([&] { return deploy.out().find("bake 60s") != std::string::npos; }))
      << deploy.err();
  deploy.Signal(SIGINT);
  const Finished finished = deploy.Wait();
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_THAT(
      finished.err,
      HasSubstr("the deployment goes on. Watch again: `remuda deployment status blue-1 --watch`"));
  EXPECT_THAT(controller_.Requests("RollbackDeployment"), SizeIs(0));
}

TEST_F(CommandTest, DeployGoesOnWatchingWhenTheControllerComesBack) {
  auto first = std::make_unique<FakeController>();
  first->state().deployment = DeploymentIn(v1::DEPLOYMENT_STATE_IN_PROGRESS, At::kLaunch);
  first->state().progress.push_back(DeploymentIn(v1::DEPLOYMENT_STATE_IN_PROGRESS, At::kShift));
  first->state().hold_watch_open = true;
  RemudaProcess deploy(
      {"deploy", "asg/blue", "--template", "shop:2", "--controller", first->address()}, {});
  ASSERT_TRUE(WaitUntil([&] { return deploy.out().find("shift to 100%") != std::string::npos; }))
      << deploy.err();
  const int port = first->port();
  first.reset();
  FakeController second(port);
  {
    const std::lock_guard lock(second.state().mutex);
    second.state().progress.push_back(DeploymentIn(v1::DEPLOYMENT_STATE_SUCCEEDED));
  }
  const Finished finished = deploy.Wait();
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("done, blue runs shop:2"));
}

TEST_F(CommandTest, DeployFlagsMustFitTheStrategy) {
  struct Case {
    std::vector<std::string> flags;
    const char* error;
  };
  for (const Case& c : std::initializer_list<Case>{
           {{"--strategy", "rolling", "--percent", "5"}, "--percent is not for --strategy rolling"},
           {{"--strategy", "canary"}, "--strategy canary needs --percent"},
           {{"--bake", "5"}, "--bake: \"5\" has no unit"},
           {{"--strategy", "sideways"}, "sideways not in"}}) {
    std::vector<std::string> words = {"deploy", "asg/blue", "--template", "shop:2"};
    words.insert(words.end(), c.flags.begin(), c.flags.end());
    const Finished finished = Run(words);
    EXPECT_EQ(finished.exit_code, 2);
    EXPECT_THAT(finished.err, HasSubstr(c.error));
  }
  EXPECT_THAT(controller_.Requests("CreateDeployment"), SizeIs(0));
}

TEST_F(CommandTest, DetachPrintsTheNameAndLeaves) {
  state().deployment = DeploymentIn(v1::DEPLOYMENT_STATE_IN_PROGRESS, At::kLaunch);
  const Finished finished =
      Run({"deploy", "asg/blue", "--template", "shop", "--detach", "--supersede"});
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_EQ(finished.out, "deployments/blue-1\n");
  EXPECT_THAT(controller_.Requests("CreateDeployment")[0], HasSubstr("supersede: true"));
  EXPECT_THAT(controller_.Requests("WatchDeployment"), SizeIs(0));
}

TEST_F(CommandTest, ImagePushStreamsTheSameBytesEachTime) {
  fs::create_directories(root_ + "/app");
  File("app/app.js", std::string(700'000, 'x') + "end");
  Finished finished = Run({"image", "push", "shop-v1", root_ + "/app"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const std::string bytes = state().image_bytes;
  EXPECT_EQ(finished.out, "images/shop-v1 sha256:" + Sha256Hex(bytes) + "\n");
  EXPECT_THAT(controller_.Requests("PushImage")[0],
              HasSubstr("size_bytes: " + std::to_string(bytes.size())));
  Run({"image", "push", "shop-v1", root_ + "/app"});
  EXPECT_EQ(state().image_bytes, bytes);
  EXPECT_EQ(Run({"image", "push", "shop-v1", root_ + "/nowhere"}).exit_code, 1);
  state().failure = AlreadyExists("images/shop-v1", "names other bytes");
  finished = Run({"image", "push", "shop-v1", root_ + "/app"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("remuda: images/shop-v1: names other bytes\n"));
}

TEST_F(CommandTest, SmallCommandsAskForTheRightThing) {
  state().log_text = "line 1\nline 2\n";
  EXPECT_EQ(Run({"logs", "i-1", "--tail", "5"}).out, "line 1\nline 2\n");
  EXPECT_THAT(controller_.Requests("WatchInstanceLogs"),
              ElementsAre("name: \"instances/i-1\" tail_lines: 5"));
  state().hosts.emplace_back().set_name("hosts/h1");
  state().hosts.back().set_state(v1::HOST_STATE_CONNECTED);
  Finished drained = Run({"host", "drain", "h1"});
  EXPECT_EQ(drained.exit_code, 0);
  EXPECT_THAT(drained.out, HasSubstr("CONNECTED")) << "what is seen of it is shown";
  EXPECT_THAT(controller_.Requests("DrainHost")[0], StartsWith("name: \"hosts/h1\""));
  EXPECT_EQ(Run({"instance", "terminate", "i-1", "--decrement"}).exit_code, 0);
  EXPECT_THAT(controller_.Requests("TerminateInstance")[0], HasSubstr("decrement_desired: true"));
  EXPECT_EQ(Run({"target", "register", "blue", "10.0.0.1:80", "[::1]:81"}).exit_code, 0);
  EXPECT_THAT(
      controller_.Requests("RegisterTargets")[0],
      HasSubstr(
          "targets { address: \"10.0.0.1\" port: 80 } targets { address: \"::1\" port: 81 }"));
  EXPECT_EQ(Run({"target", "register", "blue", "10.0.0.1"}).exit_code, 2);
  EXPECT_EQ(Run({"activities", "asg/blue", "--limit", "3"}).exit_code, 0);
}

TEST_F(CommandTest, AnUnreachableControllerSaysWhereAndWhatToDo) {
  const Finished finished = RunRemuda({"get", "asg", "--controller", "127.0.0.1:1"}, {});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err,
              StartsWith("remuda: cannot reach the controller at 127.0.0.1:1 (--controller): "));
  EXPECT_THAT(finished.err, HasSubstr("REMUDA_CONTROLLER"));
  EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 2);
}

TEST_F(CommandTest, NoAnswerInTimeExitsWith3) {
  state().failure = DeadlineExceeded("busy");
  EXPECT_EQ(Run({"get", "asg"}).exit_code, 3);
}

TEST_F(CommandTest, AProxyInTheEnvironmentIsNotAsked) {
  auto environment = Environment();
  environment["http_proxy"] = "http://127.0.0.1:1";
  EXPECT_EQ(RunRemuda({"get", "asg"}, environment).exit_code, 0);
}

TEST_F(CommandTest, CompletesCommandsFlagsKindsAndNames) {
  for (const int version : {1, 2}) {
    auto& made = state().versions.emplace_back();
    made.set_name("launchTemplates/shop/versions/" + std::to_string(version));
    made.set_version(version);
  }
  state().groups.emplace_back().set_name("autoScalingGroups/blue");
  struct Case {
    std::vector<std::string> words;
    const char* out;
  };
  for (const Case& c :
       std::initializer_list<Case>{{{"de"}, "delete\ndeploy\ndeployment\ndescribe\ndev\n"},
                                   {{"deployment", "pa"}, "pause\n"},
                                   {{"deploy", "--supe"}, "--supersede\n"},
                                   {{"deploy", "--strategy", "b"}, "blue-green\n"},
                                   {{"get", "a"}, "activity\nasg\n"},
                                   {{"get", "asg", ""}, "blue\n"},
                                   {{"get", "instances", "--group", ""}, "blue\n"},
                                   {{"help", "deployment", "pa"}, "pause\n"},
                                   {{"get", "-o", "n"}, "name\n"},
                                   {{"get", "-o", "json", "asg", ""}, "blue\n"},
                                   {{"deploy", "as"}, "asg/\n"},
                                   {{"deploy", "asg/"}, "asg/blue\n"},
                                   {{"deploy", "asg/blue", "--template", ""}, "shop:1\nshop:2\n"},
                                   {{"deploy", "asg/blue", "--template", "shop:2"}, "shop:2\n"},
                                   {{"completion", ""}, "bash\nzsh\n"},
                                   {{"nonsense", "x"}, ""}}) {
    std::vector<std::string> words = {"__complete"};
    words.insert(words.end(), c.words.begin(), c.words.end());
    EXPECT_EQ(Run(words).out, c.out) << c.words.back();
  }
}

// The script that bash sources, asked as bash asks it.
TEST_F(CommandTest, BashCompletionWorksInBash) {
  state().versions.emplace_back().set_name("launchTemplates/shop/versions/2");
  const std::string script =
      File("try.sh", "export REMUDA_CONTROLLER=" + controller_.address() +
                         "\nPATH=" REMUDA_BIN_DIR
                         ":$PATH\nsource <(remuda completion bash)\n"
                         "COMP_LINE='remuda deploy asg/blue --template shop:'\n"
                         "COMP_POINT=${#COMP_LINE}\n_remuda\necho \"<${COMPREPLY[*]}>\"\n"
                         "COMP_LINE='remuda depl'\nCOMP_POINT=${#COMP_LINE}\n_remuda\n"
                         "echo \"<${COMPREPLY[*]}>\"\n");
  ASSERT_EQ(std::system(("bash " + script + " >" + root_ + "/out 2>" + root_ + "/err").c_str()), 0)
      << ReadAll(root_ + "/err");
  EXPECT_EQ(ReadAll(root_ + "/out"), "<2>\n<deploy deployment>\n") << ReadAll(root_ + "/err");
}

}  // namespace
}  // namespace remuda::testing_cli
