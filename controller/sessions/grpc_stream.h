// GrpcStream: a Stream over gRPC's callback API, in raw bytes, so that a message serialized once
// goes out on many streams.
//
// Thread: gRPC's threads only post; every operation is started on the loop thread, so nothing here
// needs a lock and no operation is started after Finish.
#pragma once

#include <grpcpp/impl/codegen/server_callback.h>
#include <grpcpp/support/byte_buffer.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "controller/engine/loop.h"
#include "controller/sessions/stream.h"

namespace remuda {

class GrpcStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                         public Stream,
                         public std::enable_shared_from_this<GrpcStream> {
 public:
  // For a service's method to return. `loop` and `handler` outlive the server. `admit` is asked on
  // the loop: one that it refuses, as it does a null caller, the handler is not told of.
  static grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Open(
      CallerPtr caller, std::function<absl::Status()> admit, Loop& loop, StreamHandler& handler);

  void Send(Frame frame) override;
  size_t queued() const override { return queue_.size(); }
  void Close(const absl::Status& status) override;
  std::string peer() const override { return caller_ == nullptr ? "" : caller_->address; }
  CallerPtr caller() const override { return caller_; }

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  GrpcStream(Loop& loop, StreamHandler& handler, CallerPtr caller)
      : loop_(loop), handler_(handler), caller_(std::move(caller)) {}

  void Read();
  void Write();
  void Lost();

  Loop& loop_;
  StreamHandler& handler_;
  const CallerPtr caller_;
  std::shared_ptr<GrpcStream> self_;  // until gRPC is done with it
  grpc::ByteBuffer in_;
  grpc::ByteBuffer out_;
  std::deque<Frame> queue_;  // the first is being written
  bool closed_ = false;
};

}  // namespace remuda
