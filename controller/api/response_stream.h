// ResponseStream: a server-streaming call as the loop sees it. Every operation is started on the
// loop thread (as GrpcStream).
#pragma once

#include <absl/status/status.h>
#include <grpcpp/impl/codegen/server_callback.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "common/grpc_status.h"
#include "common/references.h"
#include "controller/engine/loop.h"

namespace remuda {

template <class Response>
class ResponseStream final : public grpc::ServerWriteReactor<Response>,
                             public std::enable_shared_from_this<ResponseStream<Response>> {
 public:
  // For a service's method: returns what gRPC wants, and calls `begin` on the loop with the stream,
  // unless `admit`, which is asked there before, says why the caller may not.
  static grpc::ServerWriteReactor<Response>* Open(
      Loop& loop, std::function<absl::Status()> admit,
      std::function<void(const std::shared_ptr<ResponseStream>&)> begin) {
    std::shared_ptr<ResponseStream> stream(new ResponseStream(loop));
    stream->self_ = stream;
    const absl::Status status =
        loop.PostRequest([stream, admit = std::move(admit), begin = std::move(begin)] {
          const absl::Status admitted = admit();
          if (!admitted.ok()) return stream->Close(admitted);
          begin(stream);
        });
    if (!status.ok()) loop.Post([stream, status] { stream->Close(status); });
    return stream.get();
  }

  // The rest: the loop thread.

  // Called when everything queued has been taken, and when the caller has gone (then nothing more
  // is called).
  void set_on_drained(std::function<void()> fn) { on_drained_ = std::move(fn); }
  void set_on_closed(std::function<void()> fn) { on_closed_ = std::move(fn); }

  void Send(Response response) {
    if (closed_ || end_.has_value()) return;
    ToFullNames(response);
    queued_bytes_ += response.ByteSizeLong();
    queue_.push_back(std::move(response));
    if (queue_.size() == 1) this->StartWrite(&queue_.front());
  }
  size_t queued() const { return queue_.size(); }
  size_t queued_bytes() const { return queued_bytes_; }
  bool closed() const { return closed_ || end_.has_value(); }

  // Ends the call with what is queued lost, once. on_closed is not called.
  void Close(const absl::Status& status) {
    if (closed_) return;
    closed_ = true;
    Drop();
    this->Finish(ToGrpcStatus(status));
  }
  // Ends it when what is queued has been taken.
  void CloseAfterSent(const absl::Status& status) {
    if (queue_.empty()) return Close(status);
    end_ = status;
    Drop();
  }

  // gRPC's threads.
  void OnWriteDone(bool ok) override {
    loop_.Post([self = this->shared_from_this(), ok] { self->Written(ok); });
  }
  void OnCancel() override {
    loop_.Post([self = this->shared_from_this()] { self->Lost(); });
  }
  void OnDone() override {
    loop_.Post([self = this->shared_from_this()] { self->self_.reset(); });
  }

 private:
  explicit ResponseStream(Loop& loop) : loop_(loop) {}

  void Written(bool ok) {
    if (closed_) return;
    if (!ok) return Lost();
    queued_bytes_ -= queue_.front().ByteSizeLong();
    queue_.pop_front();
    if (!queue_.empty()) {
      this->StartWrite(&queue_.front());
    } else if (end_.has_value()) {
      Close(*end_);
    } else if (on_drained_) {
      // A copy: Close, called from inside, drops the member.
      const std::function<void()> on_drained = on_drained_;
      on_drained();
    }
  }
  void Lost() {
    if (closed_) return;
    const std::function<void()> on_closed = std::move(on_closed_);
    Close(absl::CancelledError("the caller has gone"));
    if (on_closed) on_closed();
  }
  // The functions may hold the stream itself.
  void Drop() {
    on_drained_ = nullptr;
    on_closed_ = nullptr;
  }

  Loop& loop_;
  std::shared_ptr<ResponseStream> self_;  // until gRPC is done with it
  std::deque<Response> queue_;            // the first is being written
  size_t queued_bytes_ = 0;
  bool closed_ = false;
  std::optional<absl::Status> end_;
  std::function<void()> on_drained_;
  std::function<void()> on_closed_;
};

}  // namespace remuda
