// `remuda deployment`: which deployment a word means, what is asked of it, what is shown of those
// that were.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/component/cli/command_fixture.h"

namespace remuda::testing_cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

class SteerTest : public CommandTest {
 protected:
  v1::Deployment& Add(const std::string& name, v1::DeploymentState state_now) {
    auto& d = state().deployments.emplace_back();
    d.set_name("deployments/" + name);
    d.set_state(state_now);
    d.mutable_create_time()->set_seconds(1000);
    d.add_steps()->mutable_launch();
    d.add_steps()->mutable_approval()->set_name("security");
    d.set_current_step(2);
    return d;
  }
  v1::Deployment& OfBlue(const std::string& name, v1::DeploymentState state_now) {
    v1::Deployment& d = Add(name, state_now);
    d.set_auto_scaling_group("blue");
    d.mutable_from()->set_launch_template("shop");
    d.mutable_from()->set_resolved_version(1);
    d.mutable_to()->set_launch_template("shop");
    d.mutable_to()->set_resolved_version(2);
    return d;
  }
  v1::Deployment& OfShop(const std::string& name, v1::DeploymentState state_now,
                         const std::string& listener) {
    v1::Deployment& d = Add(name, state_now);
    d.mutable_shift()->set_listener("loadBalancers/shop/listeners/" + listener);
    d.mutable_shift()->set_from_target_group("blue");
    d.mutable_shift()->set_to_target_group("green");
    return d;
  }
};

TEST_F(SteerTest, EveryVerbAsksForWhatItSays) {
  OfBlue("blue-2", v1::DEPLOYMENT_STATE_IN_PROGRESS);
  OfBlue("blue-1", v1::DEPLOYMENT_STATE_SUCCEEDED);
  state().deployment = state().deployments[0];
  struct Case {
    std::vector<std::string> words;
    const char* method;
    const char* request;
  };
  for (const Case& c : std::initializer_list<Case>{
           {{"pause", "asg/blue"}, "PauseDeployment", "name: \"deployments/blue-2\" request_id:"},
           {{"resume", "blue-2"}, "ResumeDeployment", "name: \"deployments/blue-2\" request_id:"},
           {{"promote", "blue-2"}, "PromoteDeployment", "name: \"deployments/blue-2\" request_id:"},
           {{"approve", "asg/blue"},
            "ApproveDeployment",
            "name: \"deployments/blue-2\" request_id:"},
           {{"approve", "asg/blue", "security", "--reject", "--reason", "no"},
            "ApproveDeployment",
            "name: \"deployments/blue-2\" approval: \"security\" reject: true reason: \"no\" "},
           {{"abort", "asg/blue", "--reason", "why", "--detach"},
            "AbortDeployment",
            "name: \"deployments/blue-2\" reason: \"why\" request_id:"}}) {
    std::vector<std::string> words = {"deployment"};
    words.insert(words.end(), c.words.begin(), c.words.end());
    const Finished finished = Run(words);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_THAT(finished.out, HasSubstr("blue-2"));
    EXPECT_THAT(controller_.Requests(c.method).back(), StartsWith(c.request));
  }
  EXPECT_EQ(Run({"deployment", "promote", "blue-2", "--all"}).exit_code, 0);
  EXPECT_THAT(controller_.Requests("PromoteDeployment").back(), EndsWith(" all: true"));
  const Finished json = Run({"deployment", "pause", "blue-2", "-o", "json"});
  EXPECT_THAT(json.out, AllOf(StartsWith("{"), HasSubstr("\"kind\": \"Deployment\"")));
}

TEST_F(SteerTest, AbortWatchesUntilTheOldVersionServes) {
  state().deployment.set_name("deployments/blue-2");
  state().deployment.set_auto_scaling_group("blue");
  state().deployment.set_state(v1::DEPLOYMENT_STATE_ROLLING_BACK);
  state().progress.push_back(state().deployment);
  state().progress.back().set_state(v1::DEPLOYMENT_STATE_ROLLED_BACK);
  const Finished finished = Run({"deployment", "abort", "blue-2"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("blue-2: rolled back"));
}

TEST_F(SteerTest, OnlyOneThatIsUnderWayIsSteered) {
  OfBlue("blue-1", v1::DEPLOYMENT_STATE_SUCCEEDED);
  for (const char* verb : {"pause", "resume", "promote", "approve", "abort"}) {
    const Finished finished = Run({"deployment", verb, "asg/blue"});
    EXPECT_EQ(finished.exit_code, 1);
    EXPECT_THAT(finished.err, HasSubstr("autoScalingGroups/blue has no deployment under way; the "
                                        "last, blue-1, is SUCCEEDED"))
        << verb;
  }
  // A rollback is also of the last one.
  state().deployment = state().deployments[0];
  EXPECT_EQ(Run({"deployment", "rollback", "asg/blue", "--detach"}).exit_code, 0);
  EXPECT_THAT(controller_.Requests("RollbackDeployment"),
              ElementsAre(StartsWith("name: \"deployments/blue-1\"")));
}

TEST_F(SteerTest, ShiftsAreFoundByLoadBalancerOrAction) {
  OfShop("shop-3", v1::DEPLOYMENT_STATE_IN_PROGRESS, "8081");
  OfShop("shop-2", v1::DEPLOYMENT_STATE_IN_PROGRESS, "8080");
  OfShop("shop-1", v1::DEPLOYMENT_STATE_SUCCEEDED, "8080");
  const auto paused = [&](const char* word) {
    const Finished finished = Run({"deployment", "pause", word});
    const auto requests = controller_.Requests("PauseDeployment");
    return finished.exit_code == 0 ? requests.back().substr(0, requests.back().find(" request_id"))
                                   : finished.err;
  };
  EXPECT_EQ(paused("lb/shop/8080"), "name: \"deployments/shop-2\"");
  EXPECT_EQ(paused("loadBalancers/shop/listeners/8081"), "name: \"deployments/shop-3\"");
  EXPECT_EQ(paused("lb/shop"),
            "remuda: loadBalancers/shop has several deployments under way; name one: shop-3 "
            "(lb/shop/8081), shop-2 (lb/shop/8080)\n");
  EXPECT_EQ(paused("lb/shop/8080/10"),
            "remuda: loadBalancers/shop/listeners/8080/rules/10 has had no deployment\n");
  EXPECT_THAT(paused("tg/green"), HasSubstr("\"tg/green\" has no deployments: write NAME"));
  state().deployments[0].set_state(v1::DEPLOYMENT_STATE_ROLLED_BACK);
  EXPECT_EQ(paused("lb/shop"), "name: \"deployments/shop-2\"");
  EXPECT_THAT(controller_.Requests("ListDeployments").back(),
              HasSubstr("load_balancer: \"loadBalancers/shop\""));
}

TEST_F(SteerTest, WatchFollowsAndStatusShowsAll) {
  v1::Deployment& d = OfBlue("blue-2", v1::DEPLOYMENT_STATE_IN_PROGRESS);
  const Finished status = Run({"deployment", "status", "asg/blue"});
  EXPECT_EQ(status.exit_code, 0) << status.err;
  EXPECT_THAT(status.out, HasSubstr("  [x] 1 launch new\n  [>] 2 approval security\n"));
  EXPECT_THAT(status.out, HasSubstr("  next: `remuda deployment approve blue-2` goes on"));
  EXPECT_THAT(status.out, Not(HasSubstr("\x1b")));
  state().progress.push_back(d);
  state().progress.push_back(d);
  state().progress.back().set_state(v1::DEPLOYMENT_STATE_SUCCEEDED);
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"deployment", "watch", "blue-2"}, {"deployment", "status", "blue-2", "--watch"}}) {
    const Finished finished = Run(words);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_THAT(finished.out, HasSubstr(" next: `remuda deployment approve blue-2` goes on"));
    EXPECT_THAT(finished.out, EndsWith("blue-2: done, blue runs shop:2\n"));
  }
}

TEST_F(SteerTest, WhenTheTimeIsOverTheDeploymentGoesOn) {
  v1::Deployment& d = OfBlue("blue-2", v1::DEPLOYMENT_STATE_IN_PROGRESS);
  state().deployment = d;
  state().progress.push_back(d);
  state().hold_watch_open = true;
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"deployment", "watch", "blue-2"},
                                             {"deploy", "asg/blue", "--template", "shop:2"},
                                             {"shift", "lb/shop/8080", "--to", "green"},
                                             {"deployment", "rollback", "blue-2"}}) {
    std::vector<std::string> limited = words;
    limited.insert(limited.end(), {"--timeout", "1ms"});
    const Finished finished = Run(limited);
    EXPECT_EQ(finished.exit_code, 3) << finished.err;
    EXPECT_THAT(finished.err,
                HasSubstr("(--timeout) is over; the deployment goes on: IN_PROGRESS 2/2"));
    EXPECT_THAT(finished.err, HasSubstr("Watch again: `remuda deployment watch blue-2`"));
  }
  // Before the command it is the time of one call, as everywhere.
  state().hold_watch_open = false;
  state().progress.back().set_state(v1::DEPLOYMENT_STATE_SUCCEEDED);
  EXPECT_EQ(Run({"--timeout", "30s", "deployment", "watch", "blue-2"}).exit_code, 0);
}

TEST_F(SteerTest, HistoryIsATableOfWhatWas) {
  v1::Deployment& newest = OfBlue("blue-2", v1::DEPLOYMENT_STATE_ROLLED_BACK);
  newest.mutable_end_time()->set_seconds(1300);
  newest.set_rollback_reason("error-rate FAILED");
  newest.mutable_strategy()->mutable_canary();
  v1::Deployment& first = OfBlue("blue-1", v1::DEPLOYMENT_STATE_SUCCEEDED);
  first.mutable_end_time()->set_seconds(1090);
  first.set_rollback_of("blue-0");
  const Finished finished = Run({"deployment", "history", "blue"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, StartsWith("NAME    SUBJECT   FROM    TO      STRATEGY    STATE"));
  EXPECT_THAT(finished.out,
              HasSubstr("\nblue-2  asg/blue  shop:1  shop:2  canary      ROLLED_BACK"));
  EXPECT_THAT(finished.out, HasSubstr("  5m    error-rate FAILED\n"));
  EXPECT_THAT(finished.out, HasSubstr("  90s   undoes blue-0\n"));
  EXPECT_THAT(controller_.Requests("ListDeployments").back(),
              HasSubstr("auto_scaling_group: \"autoScalingGroups/blue\""));
  EXPECT_THAT(controller_.Requests("GetDeployment"), SizeIs(0)) << "`blue` names no deployment";
  EXPECT_THAT(Run({"deployment", "history", "blue-9"}).out, HasSubstr("blue-2"))
      << "there is no such deployment: it is a group's name";
  EXPECT_THAT(Run({"deployment", "history", "asg/blue", "-o", "json"}).out,
              AllOf(StartsWith("["), HasSubstr("\"name\": \"deployments/blue-1\"")));
  EXPECT_THAT(Run({"deployment", "list", "asg/blue"}).out,
              StartsWith("NAME    SUBJECT   FROM    TO      STRATEGY    STEP"));
  EXPECT_EQ(Run({"deployment", "list", "deployment/blue-1"}).exit_code, 2);
}

TEST_F(SteerTest, HistoryOfOneHasItsStepsEvaluationsAndActivities) {
  v1::Deployment& d = OfBlue("blue-2", v1::DEPLOYMENT_STATE_ROLLED_BACK);
  d.mutable_end_time()->set_seconds(1300);
  auto& evaluation = *d.add_evaluations();
  evaluation.mutable_time()->set_seconds(1200);
  evaluation.set_step(2);
  evaluation.set_check("error-rate");
  evaluation.set_verdict(v1::AnalysisEvaluation::VERDICT_FAILED);
  evaluation.set_new_value(2.5);
  evaluation.set_old_value(0.1);
  evaluation.set_new_requests(200);
  evaluation.set_old_requests(3800);
  evaluation.set_description("2.5% of 200 requests are errors");
  for (const char* what : {"rolled back", "begun"}) {
    auto& activity = state().activities.emplace_back();
    activity.set_name("activities/1");
    activity.set_deployment("blue-2");
    activity.set_description(what);
  }
  const Finished finished = Run({"deployment", "history", "blue-2"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, StartsWith("blue-2  ROLLED_BACK\n  asg/blue: shop:1 -> shop:2, "
                                       "blue-green, took 5m\n  [x] 1 launch new\n"));
  EXPECT_THAT(finished.out, HasSubstr("  2     error-rate  FAILED   2.5  0.1  200/3800  2.5% of"));
  EXPECT_EQ(finished.out.find("are errors"), finished.out.rfind("are errors")) << "told once";
  EXPECT_LT(finished.out.find("begun"), finished.out.find("rolled back\n", 200))
      << "the newest last";
  EXPECT_THAT(controller_.Requests("ListActivities").back(),
              HasSubstr("filter: \"deployment = blue-2\""));
  EXPECT_THAT(Run({"deployment", "history", "blue-2", "-o", "json"}).out,
              AllOf(HasSubstr("\"kind\": \"Deployment\""), HasSubstr("\"newRequests\": 200"),
                    HasSubstr("\"kind\": \"Activity\"")));
}

}  // namespace
}  // namespace remuda::testing_cli
