// The two services that agents and proxies dial: each Connect becomes a Stream of their sessions.
// Thread: gRPC's, which only post.
#pragma once

#include "controller/api/controller.h"
#include "controller/sessions/grpc_stream.h"
#include "remuda/agent/v1/agent.grpc.pb.h"
#include "remuda/proxy/v1/proxy.grpc.pb.h"

namespace remuda {

class AgentStreams final : public agent::v1::AgentService::WithRawCallbackMethod_Connect<
                               agent::v1::AgentService::Service> {
 public:
  explicit AgentStreams(Controller& controller) : controller_(controller) {}
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Connect(
      grpc::CallbackServerContext* context) override {
    CallerPtr caller = controller_.callers.Find(context->peer());
    auto admit = [this, caller] {
      return controller_.MayCall(caller.get(), "remuda.agent.v1.AgentService/Connect",
                                 agent::v1::ConnectRequest());
    };
    return GrpcStream::Open(std::move(caller), std::move(admit), controller_.loop,
                            controller_.agents);
  }

 private:
  Controller& controller_;
};

class ProxyStreams final : public proxy::v1::ProxyService::WithRawCallbackMethod_Connect<
                               proxy::v1::ProxyService::Service> {
 public:
  explicit ProxyStreams(Controller& controller) : controller_(controller) {}
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Connect(
      grpc::CallbackServerContext* context) override {
    CallerPtr caller = controller_.callers.Find(context->peer());
    auto admit = [this, caller] {
      return controller_.MayCall(caller.get(), "remuda.proxy.v1.ProxyService/Connect",
                                 proxy::v1::ConnectRequest());
    };
    return GrpcStream::Open(std::move(caller), std::move(admit), controller_.loop,
                            controller_.proxies);
  }

 private:
  Controller& controller_;
};

}  // namespace remuda
