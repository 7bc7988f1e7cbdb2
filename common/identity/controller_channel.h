// ControllerChannel: the connection to the controller that is dialled now, for all of a program
// that calls it: its session, fetches of images, renewals.
//
// Each dial makes a connection of its own, so that a try is one, whatever failed before; calls that
// are under way on an earlier one keep that. An earlier one is kept for kRetireTime in any case,
// and until the next dial: gRPC 1.51 aborts now and then (ref_counted.h, "prior > 0") where a
// channel goes while its connection is ending. Its connection ends once it has been without calls
// for kIdleTime. Thread: any.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace remuda::identity {

class ControllerChannel {
 public:
  static constexpr std::chrono::seconds kRetireTime{10};
  static constexpr size_t kMaxRetired = 32;
  static constexpr std::chrono::seconds kIdleTime{2};

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
  // Guarded by mutex_.
  std::shared_ptr<grpc::Channel> channel_;
  std::deque<std::pair<std::chrono::steady_clock::time_point, std::shared_ptr<grpc::Channel>>>
      retired_;  // with when they were
};

}  // namespace remuda::identity
