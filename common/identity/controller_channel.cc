#include "common/identity/controller_channel.h"

#include <grpc/impl/codegen/grpc_types.h>
#include <grpcpp/create_channel.h>

#include <utility>

namespace remuda::identity {
namespace {

// With gRPC's shared pool a new channel would inherit an earlier one's wait for its next try.
grpc::ChannelArguments WithOwnPool(grpc::ChannelArguments arguments) {
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

}  // namespace

ControllerChannel::ControllerChannel(std::string address,
                                     std::shared_ptr<grpc::ChannelCredentials> credentials,
                                     grpc::ChannelArguments arguments)
    : credentials_(std::move(credentials)), arguments_(WithOwnPool(std::move(arguments))) {
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
