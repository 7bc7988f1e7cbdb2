// The real `remuda` program against a controller that answers what the test says: outputs,
// requests, exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "common/sha256.h"
#include "tests/component/cli/command_fixture.h"

namespace remuda::testing_cli {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

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
  group.add_target_groups("targetGroups/blue");
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
  EXPECT_THAT(controller_.Requests("ListTargets")[0], HasSubstr("parent: \"targetGroups/blue\""));
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
  // Parts are told of with the whole.
  EXPECT_EQ(Run({"activities", "rule/shop/8080/10"}).exit_code, 0);
  EXPECT_THAT(controller_.Requests("ListActivities").back(),
              HasSubstr("resource: \"loadBalancers/shop\""));
  EXPECT_EQ(Run({"activities", "lt/shop:2"}).exit_code, 0);
  EXPECT_THAT(controller_.Requests("ListActivities").back(),
              HasSubstr("resource: \"launchTemplates/shop\""));
}

TEST_F(CommandTest, AnUnreachableControllerSaysWhereAndWhatToDo) {
  const Finished finished = RunRemuda({"get", "asg", "--controller", "127.0.0.1:1"}, {});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err,
              StartsWith("remuda: cannot reach the controller at 127.0.0.1:1 (--controller): "));
  EXPECT_THAT(finished.err, HasSubstr("REMUDA_CONTROLLER"));
  EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 2);
}

// It is run as the controller's user, who is logged in nowhere.
TEST_F(CommandTest, ARestoreNeedsNoIdentity) {
  const Finished finished = RunRemuda({"restore", "x.tar", "--data-dir", "/nonexistent"},
                                      {{"REMUDA_BIN_DIR", "/nonexistent"}});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, Not(HasSubstr("logged in")));
}

TEST_F(CommandTest, ARestoreIsTheControllersWithAllItsFlags) {
  fs::create_directory(root_ + "/bin");
  File("bin/remuda-controller", "#!/bin/sh\nprintf '%s\\n' \"$@\"\n");
  fs::permissions(root_ + "/bin/remuda-controller", fs::perms(0700));
  const Finished finished = RunRemuda(
      {"restore", "x.tar", "--data-dir", "/d", "--sealing-key-file", "/k", "--store", "etcd://a:1",
       "--store-ca=ca", "--store-cert=cert", "--store-key=key", "--store-user=u",
       "--store-password-file=p", "--store-insecure", "--blobs=/b", "--force"},
      {{"REMUDA_BIN_DIR", root_ + "/bin"}});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.out,
            "restore\n--from\nx.tar\n--data-dir=/d\n--sealing-key-file=/k\n--store=etcd://a:1\n"
            "--store-ca=ca\n--store-cert=cert\n--store-key=key\n--store-user=u\n"
            "--store-password-file=p\n--store-insecure\n--blobs=/b\n--force\n");
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
  state().load_balancers.emplace_back().set_name("loadBalancers/shop");
  state().listeners.emplace_back().set_name("loadBalancers/shop/listeners/8080");
  state().rules.emplace_back().set_name("loadBalancers/shop/listeners/8080/rules/10");
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
                                   {{"shift", ""}, "lb/\n"},
                                   {{"shift", "lb/"}, "lb/shop\nlb/shop/8080\nlb/shop/8080/10\n"},
                                   {{"deployment", "app"}, "approve\n"},
                                   {{"deployment", "approve", "l"}, "lb/\n"},
                                   {{"deployment", "list", "asg/"}, "asg/blue\n"},
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
      File("try.sh", "export REMUDA_INSECURE=1 REMUDA_CONTROLLER=" + controller_.address() +
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
