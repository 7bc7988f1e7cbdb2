#include "controller/api/self_call.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

#include "controller/limits.h"
#include "remuda/v1/cluster.grpc.pb.h"

namespace remuda {
namespace {

std::string Reachable(std::string address) {
  for (const auto& [wildcard, loopback] :
       {std::pair{"0.0.0.0:", "127.0.0.1:"}, std::pair{"[::]:", "[::1]:"}}) {
    const std::string prefix = wildcard;
    if (address.rfind(prefix, 0) == 0) return loopback + address.substr(prefix.size());
  }
  return address;
}

}  // namespace

SelfCall::SelfCall(const std::string& address,
                   std::shared_ptr<grpc::ChannelCredentials> credentials, Readiness& readiness)
    : address_(Reachable(address)), credentials_(std::move(credentials)), readiness_(readiness) {
  Call();
  thread_ = std::thread([this] { Run(); });
}

SelfCall::~SelfCall() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_one();
  thread_.join();
}

void SelfCall::Call() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Else a channel could go on with an earlier one's connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto stub =
      v1::ClusterService::NewStub(grpc::CreateCustomChannel(address_, credentials_, arguments));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       absl::ToChronoMilliseconds(limits::kSelfCallTimeout));
  v1::Cluster answer;
  const grpc::Status status = stub->GetCluster(&context, {}, &answer);
  const std::string error =
      status.ok() ? ""
                  : "GetCluster at " + address_ + ": " +
                        (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED
                             ? "no answer within " + absl::FormatDuration(limits::kSelfCallTimeout)
                             : status.error_message());
  if (error_.empty() && !error.empty()) spdlog::warn("not ready: {}", error);
  if (!error_.empty() && error.empty()) spdlog::info("calls to {} are answered again", address_);
  error_ = error;
  readiness_.SetCallError(error);
}

void SelfCall::Run() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      stopped_.wait_for(lock, absl::ToChronoNanoseconds(limits::kSelfCallInterval),
                        [this] { return stopping_; });
      if (stopping_) return;
    }
    Call();
  }
}

}  // namespace remuda
