#include "controller/sessions/grpc_stream.h"

#include <utility>

#include "common/grpc_status.h"

namespace remuda {
namespace {

// The frame's bytes without a copy: the slice holds a reference.
grpc::ByteBuffer ToByteBuffer(const Frame& frame) {
  auto* reference = new Frame(frame);
  const grpc::Slice slice(
      const_cast<char*>(frame->data()), frame->size(),
      [](void* p) { delete static_cast<Frame*>(p); }, reference);
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToString(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return {};
  std::string out;
  for (const grpc::Slice& slice : slices)
    out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return out;
}

}  // namespace

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* GrpcStream::Open(
    CallerPtr caller, std::function<absl::Status()> admit, Loop& loop, StreamHandler& handler) {
  std::shared_ptr<GrpcStream> stream(new GrpcStream(loop, handler, std::move(caller)));
  stream->self_ = stream;
  loop.Post([stream, admit = std::move(admit)] {
    if (absl::Status status = admit(); !status.ok()) return stream->Close(status);
    stream->handler_.OnOpened(stream);
    stream->Read();
  });
  return stream.get();
}

void GrpcStream::Read() {
  if (!closed_) StartRead(&in_);
}

void GrpcStream::OnReadDone(bool ok) {
  loop_.Post([self = shared_from_this(), ok] {
    if (self->closed_) return;
    if (!ok) return self->Lost();
    self->handler_.OnMessage(self, ToString(self->in_));
    self->in_.Clear();
    self->Read();
  });
}

void GrpcStream::Send(Frame frame) {
  if (closed_) return;
  queue_.push_back(std::move(frame));
  if (queue_.size() == 1) Write();
}

void GrpcStream::Write() {
  out_ = ToByteBuffer(queue_.front());
  StartWrite(&out_);
}

void GrpcStream::OnWriteDone(bool ok) {
  loop_.Post([self = shared_from_this(), ok] {
    if (self->closed_) return;
    if (!ok) return self->Lost();
    self->queue_.pop_front();
    if (self->queue_.empty()) {
      self->handler_.OnDrained(self);
    } else {
      self->Write();
    }
  });
}

void GrpcStream::OnCancel() {
  loop_.Post([self = shared_from_this()] {
    if (!self->closed_) self->Lost();
  });
}

void GrpcStream::Lost() {
  const std::shared_ptr<GrpcStream> self = self_;
  Close(absl::OkStatus());
  handler_.OnClosed(self);
}

void GrpcStream::Close(const absl::Status& status) {
  if (closed_) return;
  closed_ = true;
  Finish(ToGrpcStatus(status));
}

void GrpcStream::OnDone() {
  loop_.Post([self = shared_from_this()] { self->self_.reset(); });
}

}  // namespace remuda
