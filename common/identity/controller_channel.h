// ControllerChannel: the connection to the controller that is dialled now, for all of a program
// that calls it: its session, fetches of images, renewals.
//
// Each dial makes a connection of its own, so that a try is one, whatever failed before; calls that
// are under way on an earlier one keep that. Thread: any.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <mutex>
#include <string>

namespace remuda::identity {

class ControllerChannel {
 public:
  // How it dials. `address`: where, until Dial says otherwise.
  ControllerChannel(std::string address, std::shared_ptr<grpc::ChannelCredentials> credentials,
                    grpc::ChannelArguments arguments);

  // A new connection to `address`, which all use from now on. It connects with the first call, and
  // gives up after ClientChannelArguments' time for that.
  std::shared_ptr<grpc::Channel> Dial(const std::string& address);
  // The one that is used now. Never null.
  std::shared_ptr<grpc::Channel> current() const;

 private:
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  const grpc::ChannelArguments arguments_;
  mutable std::mutex mutex_;
  std::shared_ptr<grpc::Channel> channel_;  // guarded by mutex_
  // The one before it, whose connection has mostly just failed: gRPC's threads may be at work on
  // that still, and one agent was seen to abort in gRPC at such a moment. Guarded by mutex_.
  std::shared_ptr<grpc::Channel> earlier_;
};

}  // namespace remuda::identity
