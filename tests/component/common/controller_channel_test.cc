// What becomes of the connections of channels that are used no more.
#include "common/identity/controller_channel.h"

#include <grpcpp/client_context.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <string>

#include "common/grpc_channel.h"
#include "remuda/v1/cluster.grpc.pb.h"
#include "tests/wait.h"

namespace remuda::identity {
namespace {

class Service final : public v1::ClusterService::Service {
  grpc::Status GetCluster(grpc::ServerContext*, const v1::GetClusterRequest*,
                          v1::Cluster*) override {
    return grpc::Status::OK;
  }
};

// The controller is not pinged for ever by those who have turned to another one.
TEST(ControllerChannelTest, AConnectionWithoutCallsEndsThoughItsChannelIsKept) {
  int port = 0;
  Service service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  AllowKeepalive(builder);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  const std::string address = "127.0.0.1:" + std::to_string(port);
  ControllerChannel dialled(address, grpc::InsecureChannelCredentials(), ClientChannelArguments());
  const auto earlier = dialled.current();
  const auto call = [](const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    v1::Cluster answer;
    return v1::ClusterService::NewStub(channel)->GetCluster(&context, {}, &answer).ok();
  };
  ASSERT_TRUE(call(earlier));
  ASSERT_EQ(earlier->GetState(false), GRPC_CHANNEL_READY);
  const auto now = dialled.Dial(address);
  EXPECT_NE(now, earlier);
  EXPECT_TRUE(WaitUntil([&] { return earlier->GetState(false) == GRPC_CHANNEL_IDLE; }));
  EXPECT_TRUE(call(earlier)) << "who still has it may use it";
  server->Shutdown();
}

}  // namespace
}  // namespace remuda::identity
