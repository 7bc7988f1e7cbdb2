#include "tests/bench/control/grpc_link.h"

#include <grpcpp/generic/generic_stub.h>

#include <utility>
#include <vector>

namespace remuda::bench {
namespace {

std::string MethodOf(Side side) {
  return side == Side::kAgent ? "/remuda.agent.v1.AgentService/Connect"
                              : "/remuda.proxy.v1.ProxyService/Connect";
}

Frame ToFrame(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (buffer.Dump(&slices).ok()) {
    bytes.reserve(buffer.Length());
    for (const grpc::Slice& slice : slices)
      bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return std::make_shared<const std::string>(std::move(bytes));
}

}  // namespace

GrpcLink::GrpcLink(std::shared_ptr<grpc::Channel> channel, Side side, LinkHandler& handler)
    : channel_(std::move(channel)), handler_(handler) {
  grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(channel_);
  stub.PrepareBidiStreamingCall(&context_, MethodOf(side), grpc::StubOptions(), this);
  AddHold();  // Send starts writes from outside of the reactions
  StartRead(&in_);
  StartCall();
}

void GrpcLink::Send(std::string bytes) {
  const std::lock_guard lock(mutex_);
  if (is_ended_) return;
  queue_.push_back(std::move(bytes));
  if (queue_.size() == 1) Write();
}

void GrpcLink::Write() {
  const grpc::Slice slice(queue_.front());
  out_ = grpc::ByteBuffer(&slice, 1);
  StartWrite(&out_);
}

void GrpcLink::OnWriteDone(bool ok) {
  const std::lock_guard lock(mutex_);
  queue_.pop_front();
  if (ok && !is_ended_ && !queue_.empty()) Write();
}

void GrpcLink::OnReadDone(bool ok) {
  if (ok) {
    const Frame message = ToFrame(in_);
    in_.Clear();
    handler_.OnMessage(*this, message);
    StartRead(&in_);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    is_ended_ = true;
  }
  RemoveHold();
}

void GrpcLink::OnDone(const grpc::Status& status) {
  bool is_closing;
  {
    const std::lock_guard lock(mutex_);
    is_closing = is_closing_;
  }
  if (!is_closing) handler_.OnEnd(status.error_message());
  const std::lock_guard lock(mutex_);
  is_done_ = true;
  done_.notify_all();
}

void GrpcLink::Close() {
  {
    const std::lock_guard lock(mutex_);
    is_closing_ = true;
  }
  context_.TryCancel();
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return is_done_; });
}

}  // namespace remuda::bench
