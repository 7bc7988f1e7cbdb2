#include "common/identity/controller_channel.h"

#include <grpc/impl/codegen/grpc_types.h>
#include <grpcpp/create_channel.h>

#include <utility>

namespace remuda::identity {
namespace {

grpc::ChannelArguments Completed(grpc::ChannelArguments arguments) {
  // With gRPC's shared pool a new channel would inherit an earlier one's wait for its next try.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Else a controller that has refused a session would be pinged for as long as another one is up.
  arguments.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS,
                   std::chrono::milliseconds(ControllerChannel::kIdleTime).count());
  return arguments;
}

}  // namespace

ControllerChannel::ControllerChannel(std::string address,
                                     std::shared_ptr<grpc::ChannelCredentials> credentials,
                                     grpc::ChannelArguments arguments)
    : credentials_(std::move(credentials)), arguments_(Completed(std::move(arguments))) {
  Dial(address);
}

std::shared_ptr<grpc::Channel> ControllerChannel::Dial(const std::string& address) {
  auto channel = grpc::CreateCustomChannel(address, credentials_, arguments_);
  const auto now = std::chrono::steady_clock::now();
  decltype(retired_) gone;  // after the lock
  const std::lock_guard lock(mutex_);
  if (channel_ != nullptr) retired_.emplace_back(now, std::move(channel_));
  while (!retired_.empty() &&
         (retired_.size() > kMaxRetired || now - retired_.front().first > kRetireTime)) {
    gone.push_back(std::move(retired_.front()));
    retired_.pop_front();
  }
  channel_ = std::move(channel);
  return channel_;
}

std::shared_ptr<grpc::Channel> ControllerChannel::current() const {
  const std::lock_guard lock(mutex_);
  return channel_;
}

}  // namespace remuda::identity
