// Verbs on instances and on what a group does by itself: what is asked for, what is printed, what
// is waited for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/component/cli/command_fixture.h"

namespace remuda::testing_cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class LifecycleTest : public CommandTest {
 protected:
  void SetUp() override {
    state().groups.emplace_back().set_name("autoScalingGroups/blue");
    auto& instance = state().instances.emplace_back();
    instance.set_name("instances/i-1");
    instance.set_auto_scaling_group("blue");
    instance.set_state(v1::INSTANCE_STATE_IN_SERVICE);
  }
  void With(const std::function<void(FakeState&)>& change) {
    const std::lock_guard lock(state().mutex);
    change(state());
  }
};

TEST_F(LifecycleTest, EveryVerbOnAnInstanceAsksForWhatItSays) {
  struct Case {
    std::vector<std::string> words;
    const char* method;
    const char* request;
  };
  for (const Case& c : std::initializer_list<Case>{
           {{"instance", "protect", "i-1"},
            "SetInstanceProtection",
            "name: \"instances/i-1\" protected_from_scale_in: true request_id: \"cli-"},
           {{"instance", "unprotect", "instances/i-1"},
            "SetInstanceProtection",
            "name: \"instances/i-1\" request_id: \"cli-"},
           {{"instance", "standby", "i-1"},
            "EnterStandby",
            "name: \"instances/i-1\" request_id: \"cli-"},
           {{"instance", "standby", "i-1", "--decrement"},
            "EnterStandby",
            "name: \"instances/i-1\" decrement_desired: true"},
           {{"instance", "activate", "i-1"},
            "ExitStandby",
            "name: \"instances/i-1\" request_id: \"cli-"},
           {{"instance", "detach", "i-1", "--decrement"},
            "DetachInstance",
            "name: \"instances/i-1\" decrement_desired: true"},
           {{"instance", "attach", "i-1", "asg/green"},
            "AttachInstance",
            "name: \"instances/i-1\" auto_scaling_group: \"autoScalingGroups/green\""},
           {{"hook", "complete", "i-1"},
            "CompleteLifecycleAction",
            "name: \"instances/i-1\" result: LIFECYCLE_ACTION_RESULT_CONTINUE request_id: \"cli-"},
           {{"hook", "complete", "i-1", "--hook", "warm-up", "--result", "abandon"},
            "CompleteLifecycleAction",
            "name: \"instances/i-1\" hook: \"warm-up\" result: LIFECYCLE_ACTION_RESULT_ABANDON"},
           {{"hook", "heartbeat", "i-1", "--hook", "warm-up"},
            "RecordLifecycleActionHeartbeat",
            "name: \"instances/i-1\" hook: \"warm-up\" request_id: \"cli-"}}) {
    const Finished finished = Run(c.words);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_THAT(finished.out, HasSubstr("i-1"));
    EXPECT_THAT(controller_.Requests(c.method).back(), StartsWith(c.request));
    std::vector<std::string> as_json = c.words;
    as_json.insert(as_json.end(), {"-o", "json"});
    EXPECT_THAT(Run(as_json).out, HasSubstr("\"kind\": \"Instance\""));
  }
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"instance", "protect"},
           {"instance", "protect", "asg/blue"},
           {"instance", "attach", "i-1"},
           {"instance", "attach", "i-1", "tg/green"},
           {"instance", "protect", "i-1", "--decrement"},
           {"hook", "complete", "i-1", "--result", "maybe"},
           {"hook", "heartbeat", "i-1", "--result", "continue"}}) {
    EXPECT_EQ(Run(words).exit_code, 2) << words.back();
  }
  EXPECT_EQ(Run({"instance", "protect", "i-9"}).exit_code, 1);
}

TEST_F(LifecycleTest, StandbyWaitsUntilItStandsBy) {
  With([](FakeState& state) {
    state.instances[0].set_state(v1::INSTANCE_STATE_DRAINING);
    state.instances[0].set_state_reason("3 requests are in flight");
  });
  RemudaProcess standby({"instance", "standby", "i-1", "--wait"}, Environment());
  ASSERT_TRUE(WaitUntil([&] {
    return standby.err() == "waiting: instances/i-1 is DRAINING: 3 requests are in flight\n";
  })) << standby.err();
  EXPECT_EQ(standby.out(), "");
  With([](FakeState& state) { state.instances[0].set_state(v1::INSTANCE_STATE_STANDBY); });
  const Finished finished = standby.Wait();
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("STANDBY"));
}

TEST_F(LifecycleTest, EachWaitIsForItsOwnEnd) {
  EXPECT_EQ(Run({"instance", "activate", "i-1", "--wait=1s"}).exit_code, 0) << "in service";
  EXPECT_EQ(Run({"instance", "attach", "i-1", "blue", "--wait=1s"}).exit_code, 0) << "in service";
  EXPECT_EQ(Run({"instance", "detach", "i-1", "--wait=1ms"}).exit_code, 3) << "has a group";
  With([](FakeState& state) { state.instances[0].clear_auto_scaling_group(); });
  EXPECT_EQ(Run({"instance", "detach", "i-1", "--wait=1s"}).exit_code, 0);
  EXPECT_EQ(Run({"instance", "terminate", "i-1", "--wait=1ms"}).exit_code, 3);
  With([](FakeState& state) { state.instances.clear(); });
  EXPECT_EQ(Run({"instance", "terminate", "i-1", "--wait=1s"}).exit_code, 0) << "it is gone";
}

TEST_F(LifecycleTest, AnInstanceOfNoGroupIsShownWithWhatHappenedToIt) {
  state().instances[0].clear_auto_scaling_group();
  auto& activity = state().activities.emplace_back();
  activity.set_instance("i-1");
  activity.set_description("Detached i-1");
  EXPECT_THAT(Run({"get", "instances"}).out, HasSubstr("\ni-1   -      -"));
  const Finished described = Run({"describe", "i", "i-1"});
  EXPECT_THAT(described.out, HasSubstr("Detached i-1"));
  EXPECT_EQ(described.err, "");
  EXPECT_THAT(controller_.Requests("ListActivities").back(), Not(HasSubstr("resource")));
}

TEST_F(LifecycleTest, ProcessesAreSuspendedAndResumed) {
  auto& suspended = *state().groups[0].add_suspended_processes();
  suspended.set_process(v1::SCALING_PROCESS_LAUNCH);
  suspended.set_reason("night");
  const Finished finished =
      Run({"suspend", "asg/blue", "Launch", "az-rebalance", "--reason", "night"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.out, "autoScalingGroups/blue: suspended: LAUNCH (night)\n");
  EXPECT_THAT(controller_.Requests("SuspendProcesses")[0],
              StartsWith("name: \"autoScalingGroups/blue\" processes: SCALING_PROCESS_LAUNCH "
                         "processes: SCALING_PROCESS_AZ_REBALANCE reason: \"night\""));
  state().groups[0].clear_suspended_processes();
  EXPECT_EQ(Run({"resume", "blue"}).out, "autoScalingGroups/blue: nothing is suspended\n");
  EXPECT_THAT(controller_.Requests("ResumeProcesses")[0],
              StartsWith("name: \"autoScalingGroups/blue\" request_id: \"cli-"));
  const Finished wrong = Run({"suspend", "asg/blue", "lanch"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("\"lanch\" is no process (did you mean launch?); there are "));
  EXPECT_THAT(Run({"resume", "blue", "-o", "json"}).out,
              HasSubstr("\"kind\": \"AutoScalingGroup\""));
}

TEST_F(LifecycleTest, TargetGroupsAreAttachedAndDetached) {
  for (const auto& [verb, method] :
       std::map<std::string, std::string>{{"attach-target-group", "AttachTargetGroups"},
                                          {"detach-target-group", "DetachTargetGroups"}}) {
    const Finished finished = Run({"asg", verb, "asg/blue", "tg/admin", "web"});
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_THAT(finished.out, HasSubstr("\nblue"));
    EXPECT_THAT(controller_.Requests(method)[0],
                StartsWith("name: \"autoScalingGroups/blue\" target_groups: "
                           "\"targetGroups/admin\" target_groups: \"targetGroups/web\""));
    EXPECT_EQ(Run({"asg", verb, "asg/blue"}).exit_code, 2);
  }
}

TEST_F(LifecycleTest, ARefreshIsWatchedAsADeployment) {
  auto& deployment = state().deployment;
  deployment.set_name("deployments/blue-2");
  deployment.set_auto_scaling_group("blue");
  deployment.mutable_to()->set_launch_template("shop");
  deployment.mutable_to()->set_resolved_version(1);
  deployment.set_state(v1::DEPLOYMENT_STATE_IN_PROGRESS);
  deployment.add_steps()->mutable_replace();
  deployment.set_current_step(1);
  state().progress.push_back(deployment);
  state().progress.back().set_state(v1::DEPLOYMENT_STATE_SUCCEEDED);
  const Finished finished =
      Run({"refresh", "asg/blue", "--min-healthy-percent", "50", "--max-percent", "150"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out,
              AllOf(HasSubstr("IN_PROGRESS 1/1 replace"), HasSubstr("blue-2: done, blue runs")));
  EXPECT_THAT(controller_.Requests("StartInstanceRefresh")[0],
              StartsWith("name: \"autoScalingGroups/blue\" min_healthy_percent: 50 max_percent: "
                         "150 request_id: \"cli-"));
  EXPECT_EQ(Run({"refresh", "blue", "--detach"}).out, "deployments/blue-2\n");
  EXPECT_EQ(Run({"refresh", "blue", "--dry-run"}).exit_code, 0);
  EXPECT_THAT(controller_.Requests("StartInstanceRefresh").back(),
              HasSubstr("validate_only: true"));
  state().progress.back().set_state(v1::DEPLOYMENT_STATE_ROLLED_BACK);
  EXPECT_EQ(Run({"refresh", "blue"}).exit_code, 4);
}

TEST_F(LifecycleTest, WordsAreCompleted) {
  state().groups[0].add_policies()->set_name("rps");
  struct Case {
    std::vector<std::string> words;
    const char* out;
  };
  for (const Case& c : std::initializer_list<Case>{
           {{"metrics", "p"}, "put\n"},
           {{"metrics", "asg/"}, "asg/blue\n"},
           {{"metrics", "put", "asg/"}, "asg/blue\n"},
           {{"evaluations", "a"}, "asg/\n"},
           {{"policy", ""}, "delete\nforecast\nlist\nput\n"},
           {{"policy", "delete", "asg/blue", ""}, "rps\n"},
           {{"suspend", "asg/blue", "launch", "az"}, "az-rebalance\n"},
           {{"resume", "as"}, "asg/\n"},
           {{"refresh", "asg/"}, "asg/blue\n"},
           {{"instance", "standby", ""}, "i-1\n"},
           {{"instance", "attach", "i-1", "asg/"}, "asg/blue\n"},
           {{"hook", "complete", "i"}, "i-1\n"},
           {{"hook", "complete", "i-1", "--result", ""}, "abandon\ncontinue\n"},
           {{"asg", "attach-target-group", "asg/"}, "asg/blue\n"}}) {
    std::vector<std::string> words = {"__complete"};
    words.insert(words.end(), c.words.begin(), c.words.end());
    EXPECT_EQ(Run(words).out, c.out) << c.words[0] << " " << c.words.back();
  }
}

}  // namespace
}  // namespace remuda::testing_cli
