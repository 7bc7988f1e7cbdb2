// GrpcLink: a Link over a real stream, by gRPC's callback API.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/client_callback.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "tests/bench/control/link.h"

namespace remuda::bench {

class GrpcLink final : public Link,
                       public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  // Opens the stream of `side`'s service. `handler` outlives it.
  GrpcLink(std::shared_ptr<grpc::Channel> channel, Side side, LinkHandler& handler);
  ~GrpcLink() override { Close(); }

  void Send(std::string bytes) override;
  void Close() override;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  void Write();  // with mutex_ held

  const std::shared_ptr<grpc::Channel> channel_;
  LinkHandler& handler_;
  grpc::ClientContext context_;
  grpc::ByteBuffer in_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable done_;
  grpc::ByteBuffer out_;
  std::deque<std::string> queue_;  // the first is being written
  bool is_ended_ = false;
  bool is_closing_ = false;
  bool is_done_ = false;
};

}  // namespace remuda::bench
