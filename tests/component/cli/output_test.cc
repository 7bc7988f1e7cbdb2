// What is printed, in which form and order; and which words are taken.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/component/cli/command_fixture.h"

namespace remuda::testing_cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

class OutputTest : public CommandTest {
 protected:
  void SetUp() override {
    auto& group = state().groups.emplace_back();
    group.set_name("autoScalingGroups/blue");
    group.set_desired(2);
    (*group.mutable_labels())["tier"] = "web";
    state().deployment.set_name("deployments/blue-1");
    state().deployment.set_auto_scaling_group("blue");
  }
};

TEST_F(OutputTest, NamesAndWideTables) {
  EXPECT_EQ(Run({"get", "asg", "-o", "name"}).out, "autoScalingGroups/blue\n");
  EXPECT_THAT(Run({"get", "asg"}).out, Not(HasSubstr("tier=web")));
  EXPECT_THAT(Run({"get", "asg", "-o", "wide"}).out, HasSubstr("tier=web"));
  EXPECT_THAT(Run({"scale", "blue", "--desired", "2", "-o", "json"}).out,
              StartsWith("{\n  \"kind\": \"AutoScalingGroup\""));
  EXPECT_EQ(Run({"delete", "asg/blue", "-o", "name"}).out, "autoScalingGroups/blue\n");
  EXPECT_EQ(Run({"delete", "asg/blue", "-o", "json"}).out,
            "{\n  \"name\": \"autoScalingGroups/blue\",\n  \"outcome\": \"DELETED\"\n}\n");
  const Finished described = Run({"describe", "asg/blue", "-o", "name"});
  EXPECT_EQ(described.out, "autoScalingGroups/blue\ndeployments/blue-1\n") << described.err;
}

TEST_F(OutputTest, ADeploymentAsDataHasItsProgressElsewhere) {
  state().deployment.set_state(v1::DEPLOYMENT_STATE_IN_PROGRESS);
  state().deployment.add_steps()->mutable_launch()->set_role(v1::DEPLOYMENT_ROLE_NEW);
  state().deployment.set_current_step(1);
  state().progress.push_back(state().deployment);
  state().progress.back().set_state(v1::DEPLOYMENT_STATE_SUCCEEDED);
  const Finished finished = Run({"deploy", "blue", "--template", "shop:2", "-o", "json"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, StartsWith("{\n  \"kind\": \"Deployment\""));
  EXPECT_THAT(finished.out, HasSubstr("\"state\": \"SUCCEEDED\""));
  EXPECT_THAT(finished.err, HasSubstr("IN_PROGRESS 1/1 launch new"));
}

TEST_F(OutputTest, ListsAreNarrowedToAGroup) {
  EXPECT_EQ(Run({"get", "instances", "--group", "asg/blue"}).exit_code, 0);
  EXPECT_EQ(Run({"instance", "list", "blue"}).exit_code, 0);
  for (const std::string& request : controller_.Requests("ListInstances"))
    EXPECT_THAT(request, HasSubstr("parent: \"autoScalingGroups/blue\""));
  EXPECT_EQ(Run({"get", "hosts", "--group", "blue"}).exit_code, 2);
  EXPECT_EQ(Run({"deployment", "list"}).exit_code, 0);
  EXPECT_EQ(Run({"deployment", "history", "blue"}).exit_code, 0);
  EXPECT_THAT(controller_.Requests("ListDeployments").back(),
              HasSubstr("auto_scaling_group: \"autoScalingGroups/blue\""));
  for (const char* group : {"blue", "tg/blue", "targetGroups/blue"}) {
    EXPECT_EQ(Run({"target", "list", group}).exit_code, 0);
    EXPECT_EQ(Run({"get", "targets", group}).exit_code, 0);
    EXPECT_THAT(controller_.Requests("ListTargets").back(),
                HasSubstr("parent: \"targetGroups/blue\""));
  }
}

TEST_F(OutputTest, ActivitiesAreInOneOrderWithTheirDay) {
  for (const char* what : {"second", "first"}) {  // The controller lists the newest first.
    auto& activity = state().activities.emplace_back();
    activity.set_description(what);
    activity.mutable_start_time()->set_seconds(1'764'000'000);
  }
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"activities"}, {"get", "activities"}, {"activities", "blue"}}) {
    const std::string out = Run(words).out;
    EXPECT_LT(out.find("first"), out.find("second")) << out;
    EXPECT_THAT(out, HasSubstr("2025-11-2"));
  }
  EXPECT_THAT(controller_.Requests("ListActivities").back(),
              HasSubstr("resource: \"autoScalingGroups/blue\""));
}

TEST_F(OutputTest, DescribeHasTimesToTheSecond) {
  auto* time = state().groups[0].mutable_create_time();
  time->set_seconds(1'764'000'000);
  time->set_nanos(123'456'789);
  EXPECT_THAT(Run({"describe", "asg", "blue"}).out, Not(HasSubstr("123456789")));
  EXPECT_THAT(Run({"describe", "asg", "blue", "-o", "yaml"}).out, HasSubstr("123456789"));
}

TEST_F(OutputTest, HelpIsACommandToo) {
  const Finished help = Run({"help", "deployment", "rollback"});
  EXPECT_EQ(help.exit_code, 0) << help.err;
  EXPECT_EQ(help.out, Run({"deployment", "rollback", "--help"}).out);
  EXPECT_EQ(Run({"help"}).out, Run({"--help"}).out);
  const Finished unknown = Run({"help", "deploymnt"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean deployment?"));
  EXPECT_THAT(Run({"get", "--help"}).out, HasSubstr("cert"));
}

TEST_F(OutputTest, ValuesOutOfRangeAreUsage) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"get", "activities", "--limit", "-1"},
        {"activities", "--limit", "0"},
        {"get", "asg", "--timeout", "1us"},
        {"target", "register", "blue", "2001:db8::1:8080"},
        {"target", "register", "blue", "[::1]:0"},
        {"scale", "blue", "--desired", "2", "-o", "csv"}}) {
    const Finished finished = Run(words);
    EXPECT_EQ(finished.exit_code, 2) << words.back() << "\n" << finished.err;
  }
}

TEST_F(OutputTest, ARequestOverTheControllersBoundIsSaidInOurWords) {
  state().failure = absl::ResourceExhaustedError("Received message larger than max (9 vs. 4)");
  const Finished finished = Run({"get", "asg"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("the request is larger than the controller takes at once"));
}

TEST_F(OutputTest, TheVersionsOfATemplateSayWhatTheyChanged) {
  for (const int version : {2, 1}) {
    auto& made = state().versions.emplace_back();
    made.set_name("launchTemplates/shop/versions/" + std::to_string(version));
    made.set_version(version);
    made.set_image("images/shop-v" + std::to_string(version));
    made.set_port(8000);
  }
  auto& instance = state().instances.emplace_back();
  instance.set_auto_scaling_group("blue");
  instance.mutable_launch_template()->set_launch_template("shop");
  instance.mutable_launch_template()->set_resolved_version(1);
  const Finished finished = Run({"template", "history", "lt/shop"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("blue (1)"));
  EXPECT_LT(finished.out.find("shop-v1"), finished.out.find("shop-v2"));
  EXPECT_THAT(finished.out.substr(finished.out.find("shop-v2")), StartsWith("shop-v2  image "));
}

TEST_F(OutputTest, TheDefaultVersionIsSetByNumber) {
  auto& newest = state().versions.emplace_back();
  newest.set_name("launchTemplates/shop/versions/7");
  newest.set_version(7);
  const Finished finished = Run({"template", "set-default", "shop:latest", "-o", "json"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(controller_.Requests("GetLaunchTemplateVersion")[0],
              HasSubstr("launchTemplates/shop/versions/$Latest"));
  EXPECT_THAT(controller_.Requests("UpdateLaunchTemplate")[0],
              StartsWith("launch_template { name: \"launchTemplates/shop\" default_version: 7 } "
                         "update_mask { paths: \"default_version\" }"));
  EXPECT_EQ(Run({"template", "set-default", "shop"}).exit_code, 2);
}

TEST_F(OutputTest, SecretsAreShownOnlyWhenAskedFor) {
  auto& version = state().versions.emplace_back();
  version.set_name("launchTemplates/shop/versions/1");
  (*version.mutable_env())["PASSWORD"] = "hunter1";
  for (const char* format : {"json", "yaml", "table"}) {
    const Finished masked = Run({"describe", "lt/shop:1", "-o", format});
    EXPECT_EQ(masked.exit_code, 0) << masked.err;
    EXPECT_THAT(masked.out, HasSubstr("PASSWORD"));
    EXPECT_THAT(masked.out, HasSubstr("***"));
    EXPECT_THAT(masked.out + masked.err, Not(HasSubstr("hunter1")));
    EXPECT_THAT(Run({"describe", "lt/shop:1", "-o", format, "--show-secrets"}).out,
                HasSubstr("hunter1"));
  }
}

TEST_F(OutputTest, AListIsFilteredByTheController) {
  EXPECT_EQ(Run({"get", "hosts", "--filter", "state = LOST"}).exit_code, 0);
  EXPECT_THAT(controller_.Requests("ListHosts").back(), HasSubstr("filter: \"state = LOST\""));
  EXPECT_EQ(Run({"get", "asg/blue", "--filter", "labels.a = b"}).exit_code, 2);
}

// util-linux's `script` gives the command a terminal.
TEST_F(OutputTest, ColoursAreForTerminalsThatWantThem) {
  state().instances.emplace_back().set_state(v1::INSTANCE_STATE_IN_SERVICE);
  EXPECT_THAT(Run({"get", "instances"}).out, Not(HasSubstr("\x1b")));
  const std::string root = MakeTempDir();
  const auto shown = [&](const std::string& environment) {
    const std::string command = environment +
                                " REMUDA_INSECURE=1 REMUDA_CONTROLLER=" + controller_.address() +
                                " script -qec '" REMUDA_BIN_DIR "/remuda get instances' " + root +
                                "/typescript >/dev/null </dev/null";
    EXPECT_EQ(std::system(command.c_str()), 0);
    return ReadAll(root + "/typescript");
  };
  EXPECT_THAT(shown("NO_COLOR= TERM=xterm"), HasSubstr("\x1b[32mIN_SERVICE"));
  EXPECT_THAT(shown("NO_COLOR=1 TERM=xterm"), Not(HasSubstr("\x1b[32m")));
  EXPECT_THAT(shown("NO_COLOR= TERM=dumb"), Not(HasSubstr("\x1b[32m")));
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace remuda::testing_cli
