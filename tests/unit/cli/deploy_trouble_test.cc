#include "cli/deploy_trouble.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace remuda::cli {
namespace {

using ::testing::ElementsAre;

// Each group has one instance, named as the group, that is not healthy; what is asked is remembered
// as "VERB GROUP". All is set before the calls, which come one after the other.
class Controller final : public v1::AutoScalingService::Service,
                         public v1::ActivityService::Service {
 public:
  Controller() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(static_cast<v1::AutoScalingService::Service*>(this));
    builder.RegisterService(static_cast<v1::ActivityService::Service*>(this));
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
  }

  // What is printed about the groups.
  std::string Trouble(const std::vector<std::string>& groups) {
    std::ostringstream out, err;
    Context context(out, err);
    context.settings.controller = address_;
    context.settings.timeout = std::chrono::minutes(1);
    context.settings.insecure = true;
    asked.clear();
    PrintGroupTrouble(context, ControllerClient(context.settings), groups);
    EXPECT_EQ(out.str(), "");
    return err.str();
  }

  std::map<std::string, grpc::Status> failures;  // by "VERB GROUP"
  bool has_started = true;
  std::string log;
  std::vector<std::string> asked;

 private:
  grpc::Status Ask(const std::string& what) {
    asked.push_back(what);
    const auto failure = failures.find(what);
    return failure == failures.end() ? grpc::Status::OK : failure->second;
  }
  static std::string Id(const std::string& name) { return name.substr(name.find('/') + 1); }

  grpc::Status GetAutoScalingGroup(grpc::ServerContext*,
                                   const v1::GetAutoScalingGroupRequest* request,
                                   v1::AutoScalingGroup* response) override {
    response->set_name(request->name());
    return Ask("get " + Id(request->name()));
  }
  grpc::Status ListInstances(grpc::ServerContext*, const v1::ListInstancesRequest* request,
                             v1::ListInstancesResponse* response) override {
    auto& instance = *response->add_instances();
    instance.set_name("instances/" + Id(request->parent()));
    instance.set_unhealthy(true);
    if (has_started) instance.mutable_start_time();
    return Ask("instances " + Id(request->parent()));
  }
  grpc::Status ListActivities(grpc::ServerContext*, const v1::ListActivitiesRequest* request,
                              v1::ListActivitiesResponse*) override {
    return Ask("activities " + Id(request->resource()));
  }
  grpc::Status WatchInstanceLogs(
      grpc::ServerContext*, const v1::WatchInstanceLogsRequest* request,
      grpc::ServerWriter<v1::WatchInstanceLogsResponse>* writer) override {
    v1::WatchInstanceLogsResponse response;
    response.set_data(log);
    writer->Write(response);
    return Ask("log " + Id(request->name()));
  }

  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

const grpc::Status kLate(grpc::StatusCode::DEADLINE_EXCEEDED, "no answer");

TEST(DeployTrouble, TheFirstGroupThatHasSomethingToTellIsTheLastAsked) {
  Controller controller;
  controller.log = "no database\n";
  EXPECT_EQ(controller.Trouble({"a", "b"}),
            "a printed last:\n  no database\nall that it printed: `remuda logs a`\n");
  EXPECT_THAT(controller.asked, ElementsAre("get a", "instances a", "activities a", "log a"));
  controller.log = "";
  controller.has_started = false;
  EXPECT_EQ(controller.Trouble({"a", "b"}), "");
  EXPECT_THAT(controller.asked, ElementsAre("get a", "instances a", "activities a", "log a",
                                            "get b", "instances b", "activities b", "log b"));
}

// A call to a controller that hangs takes up to its timeout: it is not to be one for each group.
TEST(DeployTrouble, TheFirstReadThatFailsIsTheLast) {
  Controller controller;
  controller.has_started = false;
  controller.failures = {{"get a", kLate}};
  EXPECT_EQ(controller.Trouble({"a", "b"}), "");
  EXPECT_THAT(controller.asked, ElementsAre("get a"));
  controller.failures = {{"instances a", kLate}};
  EXPECT_EQ(controller.Trouble({"a", "b"}), "");
  EXPECT_THAT(controller.asked, ElementsAre("get a", "instances a"));
  controller.failures = {{"activities a", kLate}};
  EXPECT_EQ(controller.Trouble({"a", "b"}), "");
  EXPECT_THAT(controller.asked, ElementsAre("get a", "instances a", "activities a"));
  controller.has_started = true;
  EXPECT_EQ(controller.Trouble({"a", "b"}), "what a printed: `remuda logs a`\n");
  EXPECT_THAT(controller.asked, ElementsAre("get a", "instances a", "activities a"));
}

TEST(DeployTrouble, AGroupThatIsGoneHidesNoOther) {
  Controller controller;
  controller.log = "no database\n";
  controller.failures = {{"get a", {grpc::StatusCode::NOT_FOUND, "autoScalingGroups/a"}}};
  EXPECT_EQ(controller.Trouble({"a", "b"}),
            "b printed last:\n  no database\nall that it printed: `remuda logs b`\n");
}

TEST(DeployTrouble, OfALogThatIsReadTheLastLinesWithinTheBoundAreTold) {
  constexpr size_t kBound = 4096;
  const std::string accented = "\xC3\xA9";  // é
  std::string many_accents;
  for (size_t i = 0; i < kBound; ++i) many_accents += accented;
  const struct {
    std::string log, told;
  } cases[] = {
      {std::string(kBound, 'x') + "\nlast\n", "last"},
      {"first\n" + std::string(kBound, 'x') + "\n", std::string(kBound, 'x')},
      {"first\n" + std::string(kBound - 5, 'x') + "\nlast",
       std::string(kBound - 5, 'x') + "\n  last"},
      {"first\n" + std::string(kBound - 4, 'x') + "\nlast", "last"},
      {"first\n" + std::string(5000, 'x') + "end\n", std::string(kBound - 3, 'x') + "end"},
      {"first\n" + std::string(5000, 'x') + "end", std::string(kBound - 3, 'x') + "end"},
      {std::string(5000, 'x') + "end\r\n\n \n", std::string(kBound - 3, 'x') + "end"},
      {many_accents + ".\n", many_accents.substr(kBound + 2) + "."},
  };
  Controller controller;
  for (size_t i = 0; i < std::size(cases); ++i) {
    SCOPED_TRACE(i);
    controller.log = cases[i].log;
    EXPECT_EQ(controller.Trouble({"a"}),
              "a printed last:\n  " + cases[i].told + "\nall that it printed: `remuda logs a`\n");
  }
}

}  // namespace
}  // namespace remuda::cli
