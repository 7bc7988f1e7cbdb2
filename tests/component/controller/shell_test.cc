// What strangers can do to the real controller: cancel, crowd, send too much, send what is none;
// and what it says of itself then.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "remuda/v1/activity.grpc.pb.h"
#include "remuda/v1/load_balancer.grpc.pb.h"
#include "tests/component/controller/testing/cluster_fixture.h"
#include "tests/component/controller/testing/tar.h"
#include "tests/local_client.h"

namespace remuda {
namespace {

using testing::HasSubstr;

class ShellTest : public ClusterTest {
 protected:
  // What an admin page answers, head and body.
  std::string Page(const std::string& path) const {
    return LocalClient(controller_.http_address()).Talk("GET " + path + " HTTP/1.1\r\n\r\n");
  }
  bool IsReady() const { return Page("/readyz").rfind("HTTP/1.1 200", 0) == 0; }

  v1::Cluster GetCluster() {
    v1::Cluster cluster;
    const auto status = Call<v1::ClusterService>(&v1::ClusterService::Stub::GetCluster,
                                                 v1::GetClusterRequest(), &cluster);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return cluster;
  }
  // Bytes of the process in memory ("VmRSS") or at most so far ("VmHWM").
  int64_t Memory(const std::string& which) const {
    std::ifstream in("/proc/" + std::to_string(controller_.pid()) + "/status");
    std::string line;
    while (std::getline(in, line)) {
      if (line.rfind(which + ":", 0) == 0) return std::stoll(line.substr(which.size() + 1)) * 1024;
    }
    return 0;
  }
};

TEST_F(ShellTest, UploadsCancelledAtTheirEndHurtNobody) {
  StartController();
  const std::string bytes = TarOf(std::string(4096, 'x'));
  std::vector<std::thread> clients;
  for (int client = 0; client < 6; ++client) {
    clients.emplace_back([this, client, &bytes] {
      const auto channel = controller_.Channel();
      const auto stub = v1::ImageService::NewStub(channel);
      for (int i = 0; i < 60; ++i) {
        grpc::ClientContext context;
        v1::Image image;
        const auto writer = stub->PushImage(&context, &image);
        v1::PushImageRequest request;
        request.mutable_header()->set_image_id("i-" + std::to_string(client) + "-" +
                                               std::to_string(i));
        writer->Write(request);
        request.set_chunk(bytes);
        writer->Write(request);
        writer->WritesDone();
        // Some are cancelled at once, some while they are registered.
        if (i % 3 != 0) std::this_thread::sleep_for(std::chrono::microseconds(200 * (i % 20)));
        context.TryCancel();
        writer->Finish();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  ASSERT_TRUE(controller_.IsAlive()) << controller_.Log();
  // The last of them may be ending yet, and so many are taken at once.
  v1::Image image;
  EXPECT_TRUE(WaitUntil([&] { return Push("whole", bytes, {}, &image).ok(); }));
}

TEST_F(ShellTest, WhatIsNoArchiveBecomesNoImage) {
  StartController();
  v1::Image image;
  for (const std::string& junk :
       {std::string(3, '\0'), std::string(5000, 'x'), TarOf("whole").substr(0, 700)}) {
    const grpc::Status status = Push("junk", junk, {}, &image);
    EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr("the archive"));
    EXPECT_THAT(status.error_message(), Not(HasSubstr(controller_.data_dir())));
  }
  EXPECT_TRUE(std::filesystem::is_empty(controller_.data_dir() + "/images/sha256"));
  EXPECT_TRUE(std::filesystem::is_empty(controller_.data_dir() + "/images/tmp"));
}

TEST_F(ShellTest, OutOfDescriptorsItSaysSoAndBeginsAgain) {
  StartController();
  EXPECT_TRUE(IsReady());
  rlimit limit{};
  ASSERT_EQ(prlimit(controller_.pid(), RLIMIT_NOFILE, nullptr, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, limit.rlim_max) << "it takes what the system allows";
  size_t open = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(controller_.pid()) + "/fd")) {
    ++open;
  }
  rlimit low = limit;
  low.rlim_cur = open + 10;
  ASSERT_EQ(prlimit(controller_.pid(), RLIMIT_NOFILE, &low, nullptr), 0);
  {
    std::vector<std::unique_ptr<LocalClient>> crowd;
    for (int i = 0; i < 120; ++i)
      crowd.push_back(std::make_unique<LocalClient>(controller_.grpc_address()));
    // More descriptors for the admin page, which needs one; the API's were used up already.
    EXPECT_TRUE(WaitUntil([&] {
      return controller_.Log().find("connections to " + controller_.grpc_address() + " wait") !=
             std::string::npos;
    })) << controller_.Log();
    EXPECT_TRUE(WaitUntil([&] {
      return controller_.Log().find("not ready: GetCluster") != std::string::npos;
    })) << controller_.Log();
  }
  channel_ = controller_.Channel();
  EXPECT_EQ(GetCluster().epoch(), 1) << "accepting never began again";
  EXPECT_TRUE(WaitUntil([&] { return IsReady(); })) << Page("/readyz");
  EXPECT_THAT(Page("/metrics"), HasSubstr("remuda_controller_accept_pauses_total"));
}

TEST_F(ShellTest, LargeMessagesTakeBoundedMemoryAndItGoesBack) {
#ifdef REMUDA_SANITIZED
  GTEST_SKIP() << "the sanitizers keep freed memory";
#endif
  StartController();
  GetCluster();
  const int64_t before = Memory("VmRSS");
  constexpr int64_t kMiB = int64_t{1} << 20;
  constexpr int kClients = 8;
  const grpc::Slice slice(std::string(96 * kMiB, 'x'));
  const grpc::ByteBuffer message(&slice, 1);
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      grpc::ChannelArguments arguments;
      grpc::GenericStub stub(controller_.Channel());
      grpc::CompletionQueue queue;
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
      const auto call = stub.PrepareUnaryCall(&context, "/remuda.v1.ApplyService/ApplyResources",
                                              message, &queue);
      grpc::ByteBuffer answer;
      grpc::Status status;
      call->StartCall();
      call->Finish(&answer, &status, nullptr);
      void* tag = nullptr;
      bool ok = false;
      queue.Next(&tag, &ok);
      EXPECT_FALSE(status.ok());
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_LT(Memory("VmHWM") - before, 448 * kMiB) << "it holds more than its bound";
  EXPECT_TRUE(WaitUntil([&] { return Memory("VmRSS") - before < 96 * kMiB; }))
      << (Memory("VmRSS") - before) / kMiB << " MiB stay";
  channel_ = controller_.Channel();
  EXPECT_EQ(GetCluster().epoch(), 1);
}

TEST_F(ShellTest, AStoreThatFailsIsShownUntilItCommits) {
  StartController();
  EXPECT_EQ(GetCluster().store_error(), "");
  rlimit unlimited{};
  ASSERT_EQ(prlimit(controller_.pid(), RLIMIT_FSIZE, nullptr, &unlimited), 0);
  rlimit full = unlimited;
  full.rlim_cur = 4096;
  ASSERT_EQ(prlimit(controller_.pid(), RLIMIT_FSIZE, &full, nullptr), 0);
  v1::ApplyResourcesRequest request;
  request.add_resources()->mutable_target_group()->set_name("blue");
  EXPECT_FALSE(Apply(request).ok());
  const v1::Cluster cluster = GetCluster();
  EXPECT_THAT(cluster.store_error(), HasSubstr("state.db"));
  EXPECT_TRUE(cluster.has_store_failing_since());
  EXPECT_THAT(Page("/readyz"), HasSubstr("the store commits nothing"));
  EXPECT_THAT(Page("/readyz"), HasSubstr("HTTP/1.1 503"));
  EXPECT_THAT(Page("/metrics"), HasSubstr("remuda_controller_store_failing 1"));
  ASSERT_EQ(prlimit(controller_.pid(), RLIMIT_FSIZE, &unlimited, nullptr), 0);
  EXPECT_TRUE(WaitUntil([&] { return IsReady(); })) << "nobody has to write for that";
  EXPECT_EQ(GetCluster().store_error(), "");
}

TEST_F(ShellTest, ItsFilesAreForNobodyElse) {
  namespace fs = std::filesystem;
  StartController();
  const fs::perms others = fs::perms::group_all | fs::perms::others_all;
  EXPECT_EQ(fs::status(controller_.data_dir()).permissions() & others, fs::perms::none);
  EXPECT_EQ(fs::status(controller_.data_dir() + "/state.db").permissions() & others,
            fs::perms::none);
  EXPECT_EQ(controller_.Stop(SIGTERM), 0);
  fs::permissions(controller_.data_dir(), fs::perms(0755));
  fs::permissions(controller_.data_dir() + "/state.db", fs::perms(0644));
  StartController();
  EXPECT_EQ(fs::status(controller_.data_dir()).permissions() & others, fs::perms::none);
  EXPECT_EQ(fs::status(controller_.data_dir() + "/state.db").permissions() & others,
            fs::perms::none);
  EXPECT_THAT(controller_.Log(), HasSubstr("could be read by others"));
}

TEST_F(ShellTest, AListenersTroubleIsShownWithItsLoadBalancer) {
  StartController();
  proxy_.Connect(channel_);
  ApplyShop(0);
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return had.load_balancers.contains("shop"); }));
  const auto report = [&](const std::string& error) {
    proxy::v1::ConnectRequest message;
    auto& listener = *message.mutable_listeners()->add_listeners();
    listener.set_load_balancer("shop");
    listener.set_port(8080);
    listener.set_error(error);
    proxy_.Send(message);
  };
  const auto read = [&] {
    v1::GetLoadBalancerRequest request;
    request.set_name("loadBalancers/shop");
    v1::LoadBalancer shop;
    EXPECT_TRUE((Call<v1::LoadBalancerService>(&v1::LoadBalancerService::Stub::GetLoadBalancer,
                                               request, &shop)
                     .ok()));
    return shop;
  };
  report("Address already in use");
  ASSERT_TRUE(WaitUntil([&] { return read().listener_errors_size() == 1; }));
  EXPECT_EQ(read().listener_errors(0).proxy(), "proxies/p1");
  report("Address already in use");  // the same again is no news
  report("");
  EXPECT_TRUE(WaitUntil([&] { return read().listener_errors_size() == 0; }));
  v1::ListActivitiesRequest request;
  request.set_resource("loadBalancers/shop");
  v1::ListActivitiesResponse response;
  EXPECT_TRUE(WaitUntil([&] {
    EXPECT_TRUE(
        (Call<v1::ActivityService>(&v1::ActivityService::Stub::ListActivities, request, &response)
             .ok()));
    return response.activities_size() == 3;  // and that it was made
  }));
  ASSERT_EQ(response.activities_size(), 3);
  EXPECT_THAT(response.activities(0).description(), HasSubstr("is open"));
  EXPECT_THAT(response.activities(1).cause(), HasSubstr("Address already in use"));
  EXPECT_EQ(response.activities(1).status(), v1::ACTIVITY_STATUS_FAILED);
}

}  // namespace
}  // namespace remuda
