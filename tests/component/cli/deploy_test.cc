// `remuda deploy` and `remuda deployment`: what is asked for, what is shown meanwhile, exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/component/cli/command_fixture.h"

namespace remuda::testing_cli {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

class DeployTest : public CommandTest {};

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
  d.add_steps()->set_traffic(100);
  d.add_steps()->mutable_bake()->set_seconds(60);
  d.add_steps()->mutable_drain()->set_role(v1::DEPLOYMENT_ROLE_OLD);
  d.add_steps()->mutable_launch()->set_role(v1::DEPLOYMENT_ROLE_OLD);
  d.set_current_step(static_cast<int>(at));
  return d;
}

TEST_F(DeployTest, DeployPrintsALineAChangeAndEndsWell) {
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
TEST_F(DeployTest, OnATerminalTheProgressIsRedrawn) {
  state().deployment = DeploymentIn(v1::DEPLOYMENT_STATE_IN_PROGRESS, At::kLaunch);
  state().progress.push_back(DeploymentIn(v1::DEPLOYMENT_STATE_SUCCEEDED));
  const std::string command = "REMUDA_INSECURE=1 REMUDA_CONTROLLER=" + controller_.address() +
                              " script -qec '" REMUDA_BIN_DIR
                              "/remuda deploy asg/blue --template shop:2' " +
                              root_ + "/typescript >/dev/null </dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0) << ReadAll(root_ + "/typescript");
  const std::string shown = ReadAll(root_ + "/typescript");
  EXPECT_THAT(shown, HasSubstr("blue-1  IN_PROGRESS 1/5 launch new"));
  EXPECT_THAT(shown,
              HasSubstr("\x1b[9A\x1b[J"));  // Up over the lines of the panel, and clear.
  EXPECT_LT(shown.find("\x1b[9A"), shown.find("blue-1  SUCCEEDED"));
  EXPECT_THAT(shown, HasSubstr("blue-1: done, blue runs shop:2"));
}

// The picture has no line that is longer, and no more lines, than the terminal; NO_COLOR is heeded.
TEST_F(DeployTest, ASmallTerminalWithoutColours) {
  state().deployment = DeploymentIn(v1::DEPLOYMENT_STATE_IN_PROGRESS, At::kBake);
  state().deployment.set_waiting("the time to be over, in which all stays as it is");
  state().progress.push_back(DeploymentIn(v1::DEPLOYMENT_STATE_SUCCEEDED));
  const std::string command =
      "NO_COLOR=1 REMUDA_INSECURE=1 REMUDA_CONTROLLER=" + controller_.address() +
      " script -qec 'stty cols 40 rows 12; " REMUDA_BIN_DIR
      "/remuda deploy asg/blue --template shop:2' " +
      root_ + "/typescript >/dev/null </dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0) << ReadAll(root_ + "/typescript");
  const std::string shown = ReadAll(root_ + "/typescript");
  EXPECT_THAT(shown, HasSubstr("\nblue-1  IN_PROGRESS 3/5 bake 60s\r\n"));
  EXPECT_THAT(shown, HasSubstr("\n  [>] 3 bake 60s\r\n"));
  EXPECT_THAT(
      shown, HasSubstr("\n  waiting: the time to be over, in which\r\n    all stays as it is\r\n"));
  EXPECT_THAT(shown, HasSubstr("\n    `remuda deployment promote blue-1`\r\n    goes on now\r\n"));
  EXPECT_THAT(shown, HasSubstr("\x1b[10A\x1b[J"));
  EXPECT_THAT(shown, Not(HasSubstr("\x1b[3")));
}

TEST_F(DeployTest, ADeploymentThatCouldGoNeitherOnNorBackExitsWith1) {
  state().deployment = DeploymentIn(v1::DEPLOYMENT_STATE_ROLLING_BACK, At::kLaunchBack);
  v1::Deployment failed = DeploymentIn(v1::DEPLOYMENT_STATE_FAILED);
  failed.set_rollback_reason("shop:1 was not ready within 10m");
  state().progress.push_back(failed);
  const Finished finished = Run({"deployment", "rollback", "asg/blue"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.out, HasSubstr("failed, blue still runs shop:2: shop:1 was not ready"));
}

TEST_F(DeployTest, ADeploymentThatWasRolledBackExitsWith4) {
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
TEST_F(DeployTest, ARollbackOfTheGroupDoesNotUndoTheOneUnderWay) {
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

TEST_F(DeployTest, CtrlCStopsWatchingAndSaysHowToGoOn) {
  state().deployment = DeploymentIn(v1::DEPLOYMENT_STATE_IN_PROGRESS, At::kLaunch);
  state().progress.push_back(DeploymentIn(v1::DEPLOYMENT_STATE_IN_PROGRESS, At::kBake));
  state().hold_watch_open = true;
  RemudaProcess deploy({"deploy", "asg/blue", "--template", "shop:2"}, Environment());
  ASSERT_TRUE(WaitUntil([&] { return deploy.out().find("bake 60s") != std::string::npos; }))
      << deploy.err();
  deploy.Signal(SIGINT);
  const Finished finished = deploy.Wait();
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_THAT(finished.err,
              HasSubstr("the deployment goes on. Watch again: `remuda deployment watch blue-1`"));
  EXPECT_THAT(controller_.Requests("RollbackDeployment"), SizeIs(0));
}

TEST_F(DeployTest, DeployGoesOnWatchingWhenTheControllerComesBack) {
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

TEST_F(DeployTest, DetachPrintsTheNameAndLeaves) {
  state().deployment = DeploymentIn(v1::DEPLOYMENT_STATE_IN_PROGRESS, At::kLaunch);
  const Finished finished =
      Run({"deploy", "asg/blue", "--template", "shop", "--detach", "--supersede"});
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_EQ(finished.out, "deployments/blue-1\n");
  EXPECT_THAT(controller_.Requests("CreateDeployment")[0], HasSubstr("supersede: true"));
  EXPECT_THAT(controller_.Requests("WatchDeployment"), SizeIs(0));
}

}  // namespace
}  // namespace remuda::testing_cli
