// Analyses with the real controller: what proxies count, and what is answered outside, ends a
// deployment or lets it go on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "remuda/v1/deployment.grpc.pb.h"
#include "tests/component/controller/probes/local_server.h"
#include "tests/component/controller/testing/cluster_fixture.h"

namespace remuda {
namespace {

using testing::HasSubstr;

class AnalysesTest : public ClusterTest {
 protected:
  // Group blue serves version 1, and there is a version 2.
  void Begin(std::vector<std::string> flags = {}) {
    StartController(std::move(flags));
    agent_.Connect(channel_);
    proxy_.Connect(channel_);
    ApplyShop(1);
    ASSERT_TRUE(WaitForInService(1));
    v1::ApplyResourcesRequest request;
    auto& shop = *request.add_resources()->mutable_launch_template();
    shop.set_name("shop");
    shop.set_image("shop-v1");
    shop.add_command("app-2");
    ASSERT_TRUE(Apply(request).ok());
  }

  // Half of the traffic, then one look at `check`.
  grpc::Status Deploy(const v1::AnalysisCheck& check) {
    v1::CreateDeploymentRequest request;
    v1::Deployment& row = *request.mutable_deployment();
    row.set_auto_scaling_group("blue");
    row.mutable_to()->set_launch_template("shop");
    row.mutable_to()->set_version("2");
    row.mutable_strategy()->add_steps()->set_traffic(50);
    v1::Analysis& analysis = *row.mutable_strategy()->add_steps()->mutable_analysis();
    analysis.mutable_duration();
    analysis.mutable_interval()->set_seconds(1);
    *analysis.add_checks() = check;
    return Call<v1::DeploymentService>(&v1::DeploymentService::Stub::CreateDeployment, request,
                                       &deployment_);
  }
  // Half of the traffic, then a long wait, with `check` looked at all the time.
  grpc::Status DeployWatched(const v1::AnalysisCheck& check) {
    v1::CreateDeploymentRequest request;
    v1::Deployment& row = *request.mutable_deployment();
    row.set_auto_scaling_group("blue");
    row.mutable_to()->set_launch_template("shop");
    row.mutable_to()->set_version("2");
    row.mutable_strategy()->add_steps()->set_traffic(50);
    row.mutable_strategy()->add_steps()->mutable_pause()->set_seconds(3600);
    row.mutable_analysis()->mutable_interval()->set_seconds(1);
    *row.mutable_analysis()->add_checks() = check;
    return Call<v1::DeploymentService>(&v1::DeploymentService::Stub::CreateDeployment, request,
                                       &deployment_);
  }
  // Waits for it.
  bool WaitFor(const std::function<bool(const v1::Deployment&)>& condition) {
    v1::GetDeploymentRequest request;
    request.set_name(deployment_.name());
    return WaitUntil([&] {
      v1::Deployment now;
      if (!Call<v1::DeploymentService>(&v1::DeploymentService::Stub::GetDeployment, request, &now)
               .ok())
        return false;
      deployment_ = now;
      return condition(now);
    });
  }
  bool WaitForState(v1::DeploymentState state) {
    return WaitFor([state](const v1::Deployment& row) { return row.state() == state; });
  }
  bool WaitForAnalysis() {
    return WaitFor([](const v1::Deployment& row) {
      return row.current_step() > 0 && row.steps(row.current_step() - 1).has_analysis();
    });
  }
  // The proxy's counts since it began.
  void Count(const std::string& subset, int64_t requests, int64_t errors) {
    proxy::v1::ConnectRequest report;
    proxy::v1::SubsetStats& stats = *report.mutable_stats()->add_subsets();
    stats.set_target_group("blue");
    stats.set_subset(subset);
    stats.set_requests(requests);
    stats.set_errors(errors);
    proxy_.Send(report);
  }

  v1::Deployment deployment_;
};

v1::AnalysisCheck Webhook(int port) {
  v1::AnalysisCheck check;
  check.mutable_webhook()->set_url("http://127.0.0.1:" + std::to_string(port) + "/ask");
  return check;
}

TEST_F(AnalysesTest, ErrorsThatProxiesCountRollItBack) {
  Begin();
  v1::AnalysisCheck check;
  check.mutable_error_rate();
  ASSERT_TRUE(Deploy(check).ok());
  Count("blue/shop:2", 0, 0);
  ASSERT_TRUE(WaitForAnalysis()) << deployment_.ShortDebugString();
  Count("blue/shop:2", 500, 100);
  ASSERT_TRUE(WaitForState(v1::DEPLOYMENT_STATE_ROLLED_BACK)) << deployment_.ShortDebugString();
  EXPECT_THAT(deployment_.rollback_reason(), HasSubstr("errors are 20 % of 500 requests"));
  ASSERT_FALSE(deployment_.evaluations().empty());
  EXPECT_EQ(deployment_.evaluations().rbegin()->new_requests(), 500);
}

TEST_F(AnalysesTest, ErrorsRollItBackAlsoWhilePausedAndAfterARestart) {
  Begin();
  v1::AnalysisCheck check;
  check.mutable_error_rate();
  ASSERT_TRUE(DeployWatched(check).ok());
  ASSERT_TRUE(WaitFor([](const v1::Deployment& row) {
    return row.current_step() > 0 && row.steps(row.current_step() - 1).has_pause();
  })) << deployment_.ShortDebugString();
  v1::PauseDeploymentRequest pause;
  pause.set_name(deployment_.name());
  v1::Deployment paused;
  ASSERT_TRUE(
      Call<v1::DeploymentService>(&v1::DeploymentService::Stub::PauseDeployment, pause, &paused)
          .ok());
  ASSERT_EQ(controller_.Stop(SIGKILL), -SIGKILL);
  StartController();
  agent_.Connect(channel_);
  // What it counted for the controller before is not this one's to judge by.
  proxy_.hello().mutable_held()->set_epoch(1);
  proxy_.Connect(channel_);
  Count("blue/shop:2", 1000, 500);
  Count("blue/shop:2", 1200, 500);
  ASSERT_TRUE(WaitFor([](const v1::Deployment& row) {
    return row.new_side().requests() == 200 && !row.evaluations().empty() &&
           row.evaluations().rbegin()->new_requests() == 200;
  })) << deployment_.ShortDebugString();
  EXPECT_EQ(deployment_.state(), v1::DEPLOYMENT_STATE_IN_PROGRESS);
  EXPECT_EQ(deployment_.evaluations().rbegin()->verdict(), v1::AnalysisEvaluation::VERDICT_PASSED);
  Count("blue/shop:2", 1400, 700);
  ASSERT_TRUE(WaitForState(v1::DEPLOYMENT_STATE_ROLLED_BACK)) << deployment_.ShortDebugString();
  EXPECT_THAT(deployment_.rollback_reason(), HasSubstr("errors are 50 % of 400 requests"));
}

TEST_F(AnalysesTest, AWebhookIsAskedAndItsNoRollsItBack) {
  Begin();
  LocalServer hook([](int connection) {
    LocalServer::Write(connection,
                       "HTTP/1.1 200 OK\r\nContent-Length: 46\r\n\r\n"
                       R"({"verdict":"failed","description":"no orders"})");
  });
  ASSERT_TRUE(Deploy(Webhook(hook.port())).ok());
  ASSERT_TRUE(WaitForState(v1::DEPLOYMENT_STATE_ROLLED_BACK)) << deployment_.ShortDebugString();
  EXPECT_THAT(deployment_.rollback_reason(), HasSubstr("no orders"));
  ASSERT_FALSE(hook.requests().empty());
  EXPECT_THAT(hook.requests()[0], HasSubstr(R"("newVersion":"shop:2")"));
}

TEST_F(AnalysesTest, AYesLetsItGoOn) {
  Begin();
  LocalServer hook(
      [](int connection) { LocalServer::Write(connection, "HTTP/1.1 204 No Content\r\n\r\n"); });
  ASSERT_TRUE(Deploy(Webhook(hook.port())).ok());
  ASSERT_TRUE(WaitForState(v1::DEPLOYMENT_STATE_SUCCEEDED)) << deployment_.ShortDebugString();
}

TEST_F(AnalysesTest, ACommandHasToBeAllowed) {
  v1::AnalysisCheck check;
  check.mutable_command()->add_argv("/bin/true");
  Begin({"--analysis-command=/bin/true"});
  ASSERT_TRUE(Deploy(check).ok());
  ASSERT_TRUE(WaitForState(v1::DEPLOYMENT_STATE_SUCCEEDED)) << deployment_.ShortDebugString();
  check.mutable_command()->set_argv(0, "/bin/false");
  const grpc::Status status = Deploy(check);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("--analysis-command"));
}

// The controller dies while a webhook keeps it waiting: the next one asks again.
TEST_F(AnalysesTest, AfterARestartItIsAskedAgain) {
  Begin();
  std::atomic<bool> answers = false;
  LocalServer hook([&](int connection) {
    if (answers) LocalServer::Write(connection, "HTTP/1.1 204 No Content\r\n\r\n");
    if (!answers) LocalServer::Wait(connection);
  });
  ASSERT_TRUE(Deploy(Webhook(hook.port())).ok());
  ASSERT_TRUE(WaitUntil([&] { return !hook.requests().empty(); }));
  ASSERT_EQ(controller_.Stop(SIGKILL), -SIGKILL);
  answers = true;
  StartController();
  agent_.Connect(channel_);
  proxy_.Connect(channel_);
  ASSERT_TRUE(WaitForState(v1::DEPLOYMENT_STATE_SUCCEEDED)) << deployment_.ShortDebugString();
}

// Ending does not wait for an answer.
TEST_F(AnalysesTest, TheControllerEndsWhileItAsks) {
  Begin();
  LocalServer hook(&LocalServer::Wait);
  ASSERT_TRUE(Deploy(Webhook(hook.port())).ok());
  ASSERT_TRUE(WaitUntil([&] { return !hook.requests().empty(); }));
  EXPECT_EQ(controller_.Stop(SIGTERM), 0) << controller_.Log();
}

}  // namespace
}  // namespace remuda
