// The real controller with a scripted agent and a scripted proxy: from a resource to a target in
// rotation and out of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>

#include "common/grpc_status.h"
#include "common/sha256.h"
#include "remuda/v1/activity.grpc.pb.h"
#include "remuda/v1/apply.grpc.pb.h"
#include "remuda/v1/auto_scaling.grpc.pb.h"
#include "remuda/v1/cluster.grpc.pb.h"
#include "remuda/v1/deployment.grpc.pb.h"
#include "remuda/v1/image.grpc.pb.h"
#include "remuda/v1/target_group.grpc.pb.h"
#include "tests/component/controller/controller_process.h"
#include "tests/component/controller/fake_receivers.h"
#include "tests/wait.h"

namespace remuda {
namespace {

using testing::HasSubstr;

class ClusterTest : public testing::Test {
 protected:
  void StartController(std::vector<std::string> flags = {}) {
    controller_.Start(std::move(flags));
    channel_ = controller_.Channel();
  }
  template <class Service, class Request, class Response>
  grpc::Status Call(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&,
                                                          Response*),
                    const Request& request, Response* response) {
    const auto stub = Service::NewStub(channel_);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    return (stub.get()->*method)(&context, request, response);
  }
  grpc::Status Push(const std::string& id, const std::string& bytes, v1::ImageHeader header,
                    v1::Image* image) {
    const auto stub = v1::ImageService::NewStub(channel_);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    const auto writer = stub->PushImage(&context, image);
    v1::PushImageRequest request;
    header.set_image_id(id);
    *request.mutable_header() = header;
    writer->Write(request);
    for (size_t at = 0; at < bytes.size(); at += 1 << 20) {
      request.set_chunk(bytes.substr(at, 1 << 20));
      if (!writer->Write(request)) break;
    }
    writer->WritesDone();
    return writer->Finish();
  }
  grpc::Status Apply(const v1::ApplyResourcesRequest& request) {
    v1::ApplyResourcesResponse response;
    return Call<v1::ApplyService>(&v1::ApplyService::Stub::ApplyResources, request, &response);
  }
  // Template shop, target group blue, group blue of `desired`, load balancer shop.
  void ApplyShop(int desired) {
    v1::Image image;
    ASSERT_TRUE(Push("shop-v1", "the app", {}, &image).ok());
    v1::ApplyResourcesRequest request;
    auto& shop = *request.add_resources()->mutable_launch_template();
    shop.set_name("shop");
    shop.set_image("shop-v1");
    shop.add_command("app");
    request.add_resources()->mutable_target_group()->set_name("blue");
    auto& group = *request.add_resources()->mutable_auto_scaling_group();
    group.set_name("blue");
    group.mutable_launch_template()->set_name("shop");
    group.set_min(desired);
    group.set_max(desired + 2);
    group.add_target_groups("blue");
    auto& balancer = *request.add_resources()->mutable_load_balancer();
    balancer.set_name("shop");
    auto& listener = *balancer.add_listeners();
    listener.set_port(8080);
    listener.mutable_default_action()->mutable_forward()->add_target_groups()->set_name("blue");
    const grpc::Status status = Apply(request);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  // Waits until `condition` holds for the instances, by a watch.
  bool WaitForInstances(
      const std::function<bool(const std::map<std::string, v1::Instance>&)>& condition) {
    const auto stub = v1::AutoScalingService::NewStub(channel_);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    const auto reader = stub->WatchInstances(&context, {});
    std::map<std::string, v1::Instance> instances;
    v1::WatchInstancesResponse response;
    bool met = false;
    while (!met && reader->Read(&response)) {
      for (const auto& instance : response.instances()) instances[instance.name()] = instance;
      for (const std::string& name : response.removed()) instances.erase(name);
      met = condition(instances);
    }
    context.TryCancel();
    reader->Finish();
    return met;
  }
  bool WaitForInService(size_t count) {
    return WaitForInstances([count](const auto& instances) {
      size_t serving = 0;
      for (const auto& [name, instance] : instances)
        serving += instance.state() == v1::INSTANCE_STATE_IN_SERVICE ? 1 : 0;
      return serving == count;
    });
  }
  v1::Proxy GetProxy(const std::string& name) {
    v1::GetProxyRequest request;
    request.set_name("proxies/" + name);
    v1::Proxy proxy;
    const auto status =
        Call<v1::ClusterService>(&v1::ClusterService::Stub::GetProxy, request, &proxy);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return proxy;
  }
  bool WaitForProxy(const std::string& name,
                    const std::function<bool(const v1::Proxy&)>& condition) {
    return WaitUntil([&] { return condition(GetProxy(name)); }, kPatience);
  }

  ControllerProcess controller_;
  std::shared_ptr<grpc::Channel> channel_;
  FakeAgent agent_{"h1", "10.0.0.1"};
  FakeProxy proxy_{"p1"};
};

bool HasActive(const FakeProxy::Had& had, size_t count) {
  size_t active = 0;
  for (const auto& [key, target] : had.targets) {
    const bool takes = target.state() == proxy::v1::Target::STATE_ACTIVE ||
                       target.state() == proxy::v1::Target::STATE_UNSPECIFIED;
    active += takes ? 1 : 0;
  }
  return active == count;
}

TEST_F(ClusterTest, FromResourcesToRotationAndADeadProcessOutOfItAtOnce) {
  StartController();
  agent_.Connect(channel_);
  proxy_.Connect(channel_);
  ApplyShop(2);
  ASSERT_TRUE(WaitForInService(2)) << controller_.Log();
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return HasActive(had, 2); }));
  EXPECT_TRUE(proxy_.had().load_balancers.contains("shop"));
  EXPECT_GE(proxy_.had().welcome->epoch(), 1);

  const std::string victim = agent_.had().running.begin()->first;
  const size_t updates = proxy_.had().updates.size();
  agent_.Kill(victim, 9);
  ASSERT_TRUE(proxy_.WaitFor([&](const auto& had) {
    const auto it = had.targets.find("blue/" + victim);
    return it == had.targets.end() || it->second.state() == proxy::v1::Target::STATE_GONE;
  }));
  const proxy::v1::ConfigUpdate update = proxy_.had().updates.at(updates);
  EXPECT_TRUE(update.has_base()) << "one target's change was sent as a whole view";
  EXPECT_LT(update.ByteSizeLong(), 200U);
  // Launched instead.
  ASSERT_TRUE(WaitForInService(2)) << controller_.Log();
  EXPECT_TRUE(proxy_.WaitFor([&](const auto& had) {
    return HasActive(had, 2) && !had.targets.contains("blue/" + victim);
  }));

  EXPECT_TRUE(WaitForProxy("p1", [](const v1::Proxy& seen) {
    return seen.connected() && seen.config().confirmed_commit() > 0 &&
           seen.config().acknowledged().sequence() == seen.config().sent().sequence();
  }));
}

TEST_F(ClusterTest, AKilledControllerComesBackWithEverythingAndAHigherEpoch) {
  StartController();
  agent_.Connect(channel_);
  proxy_.Connect(channel_);
  ApplyShop(1);
  ASSERT_TRUE(WaitForInService(1));
  v1::CreateTargetGroupRequest create;
  create.set_target_group_id("green");
  create.mutable_target_group();
  create.set_request_id("r1");
  v1::TargetGroup first, again;
  ASSERT_TRUE((
      Call<v1::TargetGroupService>(&v1::TargetGroupService::Stub::CreateTargetGroup, create, &first)
          .ok()));
  v1::Cluster before, after;
  ASSERT_TRUE((Call<v1::ClusterService>(&v1::ClusterService::Stub::GetCluster,
                                        v1::GetClusterRequest(), &before)
                   .ok()));
  const std::string instance = agent_.had().running.begin()->first;

  EXPECT_EQ(controller_.Stop(SIGKILL), -SIGKILL);
  StartController();
  ASSERT_TRUE((Call<v1::ClusterService>(&v1::ClusterService::Stub::GetCluster,
                                        v1::GetClusterRequest(), &after)
                   .ok()));
  EXPECT_EQ(after.cluster_id(), before.cluster_id());
  EXPECT_EQ(after.epoch(), before.epoch() + 1);
  EXPECT_GE(after.commit(), before.commit());
  const auto repeat = Call<v1::TargetGroupService>(&v1::TargetGroupService::Stub::CreateTargetGroup,
                                                   create, &again);
  EXPECT_TRUE(repeat.ok()) << repeat.error_message();
  EXPECT_EQ(again.SerializeAsString(), first.SerializeAsString())
      << "a repeat answers as the first did";

  // The receivers come back with what they held, and nothing changes for them.
  agent_.Connect(channel_);
  proxy_.Connect(channel_);
  ASSERT_TRUE(
      proxy_.WaitFor([&](const auto& had) { return had.revision.epoch() == after.epoch(); }));
  EXPECT_TRUE(HasActive(proxy_.had(), 1)) << "the view was emptied for want of reports";
  ASSERT_TRUE(
      agent_.WaitFor([&](const auto& had) { return had.revision.epoch() == after.epoch(); }));
  EXPECT_EQ(agent_.had().assigned.at(instance).desired(), agent::v1::DESIRED_STATE_RUNNING);
  EXPECT_TRUE(WaitForInService(1));
}

TEST_F(ClusterTest, AReceiverThatComesBackInTheSameEpochGetsADelta) {
  StartController();
  agent_.Connect(channel_);
  proxy_.Connect(channel_);
  ApplyShop(1);
  ASSERT_TRUE(WaitForInService(1));
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return HasActive(had, 1); }));
  proxy_.Disconnect();
  ASSERT_TRUE(WaitForProxy("p1", [](const v1::Proxy& proxy) { return !proxy.connected(); }));
  v1::RegisterTargetsRequest request;
  request.set_target_group("targetGroups/blue");
  request.add_targets()->set_address("10.9.9.9");
  request.mutable_targets(0)->set_port(80);
  v1::RegisterTargetsResponse response;
  ASSERT_TRUE((Call<v1::TargetGroupService>(&v1::TargetGroupService::Stub::RegisterTargets, request,
                                            &response)
                   .ok()));
  proxy_.Connect(channel_);
  ASSERT_TRUE(
      proxy_.WaitFor([](const auto& had) { return had.targets.contains("blue/10.9.9.9:80"); }));
  for (const auto& update : proxy_.had().updates)
    EXPECT_TRUE(update.has_base()) << update.ShortDebugString();
}

TEST_F(ClusterTest, WhatAProxyComesBackWithIsConfirmedOnceItsBusyTargetsAreKnown) {
  StartController();
  proxy_.Connect(channel_);
  ApplyShop(0);
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return had.load_balancers.contains("shop"); }));
  const auto is_confirmed = [](const v1::Proxy& p) { return p.config().confirmed_commit() > 0; };
  ASSERT_TRUE(WaitForProxy("p1", is_confirmed));
  proxy_.Disconnect();
  ASSERT_TRUE(WaitForProxy("p1", [](const v1::Proxy& p) { return !p.connected(); }));
  proxy_.set_answer(FakeProxy::Answer::kNothing);
  proxy_.Connect(channel_);
  ASSERT_TRUE(WaitForProxy("p1", [](const v1::Proxy& p) { return p.connected(); }));
  EXPECT_FALSE(is_confirmed(GetProxy("p1"))) << "what is in flight there is not known yet";
  proxy::v1::ConnectRequest report;
  report.mutable_drain();
  proxy_.Send(report);
  EXPECT_TRUE(WaitForProxy("p1", is_confirmed));
}

TEST_F(ClusterTest, ANackIsShownUntilALaterAck) {
  StartController();
  proxy_.Connect(channel_);
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return had.revision.sequence() > 0; }));
  proxy_.set_answer(FakeProxy::Answer::kNack);
  ApplyShop(0);
  ASSERT_TRUE(WaitForProxy("p1", [](const v1::Proxy& p) {
    return p.config().rejected_reason() == "port 8080 is taken";
  }));
  EXPECT_EQ(GetProxy("p1").config().rejected_resource(), "loadBalancers/shop");
  EXPECT_LT(GetProxy("p1").config().acknowledged().sequence(),
            GetProxy("p1").config().rejected().sequence());
  // A refused delta is tried once more as a whole view, then no more until something changes.
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return !had.updates.back().has_base(); }));
  proxy_.set_answer(FakeProxy::Answer::kAck);
  v1::ApplyResourcesRequest change;
  change.add_resources()->mutable_target_group()->set_name("blue");
  change.mutable_resources(0)->mutable_target_group()->mutable_deregistration_delay()->set_seconds(
      7);
  ASSERT_TRUE(Apply(change).ok());
  ASSERT_TRUE(WaitForProxy("p1", [](const v1::Proxy& p) { return !p.config().has_rejected(); }));
  EXPECT_EQ(GetProxy("p1").config().rejected_reason(), "");
  EXPECT_TRUE(proxy_.had().load_balancers.contains("shop"));
}

TEST_F(ClusterTest, ASecondSessionEndsTheFirst) {
  StartController();
  proxy_.Connect(channel_);
  // A view comes when the proxy's row is committed.
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return had.revision.sequence() > 0; }));
  FakeProxy twin("p1");
  twin.Connect(channel_);
  ASSERT_TRUE(twin.WaitFor([](const auto& had) { return had.welcome.has_value(); }));
  const auto end = proxy_.stream().WaitForEnd();
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->error_code(), grpc::StatusCode::ABORTED) << end->error_message();
  EXPECT_TRUE(GetProxy("p1").connected());
}

TEST_F(ClusterTest, WrongHellosAreRefusedWithTheField) {
  StartController();
  const struct {
    const char* what;
    std::function<void(proxy::v1::Hello&)> spoil;
    grpc::StatusCode code;
    const char* says;
  } cases[] = {
      {"name", [](auto& h) { h.set_proxy("Not A Name"); }, grpc::INVALID_ARGUMENT, "hello.proxy"},
      {"no name", [](auto& h) { h.clear_proxy(); }, grpc::INVALID_ARGUMENT, "hello.proxy"},
      {"cluster", [](auto& h) { h.set_cluster_id("another"); }, grpc::FAILED_PRECONDITION,
       "another"},
      {"zone", [](auto& h) { h.set_zone(std::string(300, 'z')); }, grpc::INVALID_ARGUMENT,
       "hello.zone"},
      {"future", [](auto& h) { h.mutable_held()->set_epoch(99); }, grpc::FAILED_PRECONDITION, "99"},
  };
  for (const auto& c : cases) {
    FakeProxy proxy("p1");
    c.spoil(proxy.hello());
    proxy.Connect(channel_);
    const auto end = proxy.stream().WaitForEnd();
    ASSERT_TRUE(end.has_value()) << c.what;
    EXPECT_EQ(end->error_code(), c.code) << c.what << ": " << end->error_message();
    EXPECT_THAT(end->error_message(), HasSubstr(c.says)) << c.what;
  }
  FakeAgent agent("h1", "not-an-address");
  agent.Connect(channel_);
  EXPECT_THAT(agent.stream().WaitForEnd()->error_message(), HasSubstr("hello.address"));
}

TEST_F(ClusterTest, ImagesAreVerifiedResumedAndForgotten) {
  StartController({"--image-limit", "3Mi"});
  const std::string bytes(2'500'000, 'i');
  v1::Image image;
  v1::ImageHeader wrong;
  wrong.set_digest("sha256:" + std::string(64, '0'));
  EXPECT_EQ(Push("app", bytes, wrong, &image).error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(Push("app", std::string(4'000'000, 'x'), {}, &image).error_code(),
            grpc::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Push("app", "", {}, &image).error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(Push("App!", bytes, {}, &image).error_code(), grpc::INVALID_ARGUMENT);
  const std::string blobs = controller_.data_dir() + "/images/sha256";
  EXPECT_TRUE(std::filesystem::is_empty(blobs));
  ASSERT_TRUE(Push("app", bytes, {}, &image).ok());
  EXPECT_EQ(image.digest(), "sha256:" + Sha256Hex(bytes));
  EXPECT_TRUE(Push("app", bytes, {}, &image).ok()) << "the same bytes again are no error";
  EXPECT_EQ(Push("app", "other", {}, &image).error_code(), grpc::ALREADY_EXISTS);

  const auto stub = v1::ImageService::NewStub(channel_);
  for (const int64_t offset :
       {int64_t{0}, int64_t{1'000'001}, static_cast<int64_t>(bytes.size())}) {
    grpc::ClientContext context;
    v1::FetchImageRequest request;
    request.set_digest("sha256:" + Sha256Hex(bytes));
    request.set_offset(offset);
    const auto reader = stub->FetchImage(&context, request);
    std::string got;
    v1::FetchImageResponse response;
    int64_t size = 0;
    while (reader->Read(&response)) {
      size = std::max(size, response.size_bytes());
      got += response.chunk();
    }
    EXPECT_TRUE(reader->Finish().ok());
    EXPECT_EQ(got, bytes.substr(static_cast<size_t>(offset)));
    EXPECT_EQ(size, static_cast<int64_t>(bytes.size()));
  }
  v1::DeleteImageRequest remove;
  remove.set_name("images/app");
  google::protobuf::Empty empty;
  ASSERT_TRUE((Call<v1::ImageService>(&v1::ImageService::Stub::DeleteImage, remove, &empty).ok()));
  EXPECT_TRUE(WaitUntil([&] { return std::filesystem::is_empty(blobs); }))
      << "the bytes of a deleted image stay";
}

TEST_F(ClusterTest, LogsAndSnapshotsGoThroughTheAgentsSession) {
  StartController();
  agent_.Connect(channel_);
  ApplyShop(1);
  ASSERT_TRUE(agent_.WaitFor([](const auto& had) { return !had.running.empty(); }));
  const std::string instance = agent_.had().running.begin()->first;
  const auto stub = v1::AutoScalingService::NewStub(channel_);
  grpc::ClientContext context;
  v1::WatchInstanceLogsRequest request;
  request.set_name("instances/" + instance);
  request.set_follow(true);
  const auto reader = stub->WatchInstanceLogs(&context, request);
  ASSERT_TRUE(agent_.WaitFor([](const auto& had) { return had.requests.size() == 1; }));
  agent::v1::ConnectRequest chunk;
  chunk.mutable_log()->set_stream_id(agent_.had().requests[0].log().stream_id());
  chunk.mutable_log()->set_data("hello\n");
  agent_.Send(chunk);
  v1::WatchInstanceLogsResponse line;
  ASSERT_TRUE(reader->Read(&line));
  EXPECT_EQ(line.data(), "hello\n");
  context.TryCancel();
  reader->Finish();
  ASSERT_TRUE(agent_.WaitFor([](const auto& had) { return had.requests.size() == 2; }))
      << "the reading is not cancelled";
  EXPECT_TRUE(agent_.had().requests[1].has_log_cancel());

  std::thread create([&] {
    v1::CreateImageRequest wish;
    wish.set_image_id("made");
    wish.set_instance(instance);
    v1::Image made;
    const auto status = Call<v1::ImageService>(&v1::ImageService::Stub::CreateImage, wish, &made);
    EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
    EXPECT_THAT(status.error_message(), HasSubstr("no space"));
  });
  EXPECT_TRUE(agent_.WaitFor([](const auto& had) { return had.requests.size() == 3; }));
  agent::v1::ConnectRequest failed;
  failed.mutable_snapshot()->set_snapshot_id(agent_.had().requests.back().snapshot().snapshot_id());
  failed.mutable_snapshot()->set_error("no space");
  agent_.Send(failed);
  create.join();
}

TEST_F(ClusterTest, AFullStoreFailsWritesOnlyAndOnlyWhileItIsFull) {
  StartController();
  v1::CreateTargetGroupRequest create;
  v1::TargetGroup group;
  const auto put = [&](const std::string& id) {
    create.set_target_group_id(id);
    create.mutable_target_group();
    return Call<v1::TargetGroupService>(&v1::TargetGroupService::Stub::CreateTargetGroup, create,
                                        &group);
  };
  ASSERT_TRUE(put("before").ok());
  rlimit unlimited{};
  rlimit full{};
  ASSERT_EQ(prlimit(controller_.pid(), RLIMIT_FSIZE, nullptr, &unlimited), 0);
  full = unlimited;
  full.rlim_cur = 4096;
  ASSERT_EQ(prlimit(controller_.pid(), RLIMIT_FSIZE, &full, nullptr), 0);
  const grpc::Status failed = put("during");
  EXPECT_FALSE(failed.ok());
  EXPECT_THAT(failed.error_message(), HasSubstr("state.db"));
  v1::ListTargetGroupsResponse list;
  ASSERT_TRUE((Call<v1::TargetGroupService>(&v1::TargetGroupService::Stub::ListTargetGroups,
                                            v1::ListTargetGroupsRequest(), &list)
                   .ok()));
  EXPECT_EQ(list.target_groups_size(), 1) << "nothing half-applied, and reads go on";
  ASSERT_EQ(prlimit(controller_.pid(), RLIMIT_FSIZE, &unlimited, nullptr), 0);
  EXPECT_TRUE(put("after").ok());
  EXPECT_EQ(controller_.Stop(SIGKILL), -SIGKILL);
  StartController();
  ASSERT_TRUE((Call<v1::TargetGroupService>(&v1::TargetGroupService::Stub::ListTargetGroups,
                                            v1::ListTargetGroupsRequest(), &list)
                   .ok()));
  ASSERT_EQ(list.target_groups_size(), 2);
  EXPECT_EQ(list.target_groups(0).name(), "targetGroups/after");
}

TEST_F(ClusterTest, SigtermEndsSessionsAndExitsZero) {
  StartController();
  proxy_.Connect(channel_);
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return had.welcome.has_value(); }));
  EXPECT_EQ(controller_.Stop(SIGTERM), 0) << controller_.Log();
  EXPECT_EQ(proxy_.stream().WaitForEnd()->error_code(), grpc::UNAVAILABLE);
}

TEST(ControllerFlagsTest, WrongOnesAreRefusedWithAReason) {
  const struct {
    std::vector<std::string> flags;
    const char* says;
  } cases[] = {
      {{"--data-dir", "/tmp/x", "--listen", "0.0.0.0:0"}, "--insecure"},
      {{"--data-dir", "/tmp/x", "--http", "[::]:0"}, "--insecure"},
      {{"--data-dir", "/tmp/x", "--listen", "somewhere"}, "ADDRESS:PORT"},
      {{"--data-dir", "/tmp/x", "--listen", "127.0.0.1:99999"}, "ADDRESS:PORT"},
      {{"--data-dir", "/tmp/x", "--host-lost-after", "ten"}, "--host-lost-after"},
      {{"--data-dir", "/tmp/x", "--image-limit", "much"}, "--image-limit"},
      {{"--listen", "127.0.0.1:0"}, "--data-dir"},
      {{"--no-such-flag"}, "--no-such-flag"},
  };
  for (const auto& c : cases) {
    std::string output;
    EXPECT_EQ(ControllerProcess::RunToEnd(c.flags, &output), 2) << c.says << ": " << output;
    EXPECT_THAT(output, HasSubstr(c.says));
  }
}

TEST(ControllerFlagsTest, TheEnvironmentBeatsTheFileAndAFlagBoth) {
  char file[] = "/tmp/remuda-config-XXXXXX";
  const int fd = mkstemp(file);
  const std::string text = "# a comment\nlisten = 0.0.0.1:1\nlog-level = nonsense\n";
  ASSERT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  close(fd);
  std::string output;
  EXPECT_EQ(ControllerProcess::RunToEnd({"--data-dir", "/tmp/x", "--config", file}, &output), 2);
  EXPECT_THAT(output, HasSubstr("0.0.0.1:1")) << "the file's";
  setenv("REMUDA_LISTEN", "0.0.0.2:2", 1);
  EXPECT_EQ(ControllerProcess::RunToEnd({"--data-dir", "/tmp/x", "--config", file}, &output), 2);
  EXPECT_THAT(output, HasSubstr("0.0.0.2:2")) << "the environment's";
  EXPECT_EQ(ControllerProcess::RunToEnd(
                {"--data-dir", "/tmp/x", "--config", file, "--listen", "0.0.0.3:3"}, &output),
            2);
  EXPECT_THAT(output, HasSubstr("0.0.0.3:3")) << "the flag's";
  unsetenv("REMUDA_LISTEN");
  unlink(file);
}

}  // namespace
}  // namespace remuda
