#include "agent/image_client.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <optional>
#include <utility>

#include "agent/process.h"
#include "common/grpc_status.h"
#include "remuda/v1/image.grpc.pb.h"

namespace remuda::agent {
namespace {

constexpr std::chrono::seconds kStall{
    30};  // a transfer in which nothing moves for so long is given up
constexpr size_t kChunkBytes = size_t{512} * 1024;

// One operation of a call at a time, waited for by the worker thread that began it: the pace of
// what reads or writes the file is the stream's.
class Turns {
 public:
  explicit Turns(grpc::ClientContext& context) : context_(context) {}

  // `begin` begins an operation. False: the call has ended (see End), or stalled.
  template <class Begin>
  bool Take(Begin begin) {
    std::unique_lock lock(mutex_);
    is_under_way_ = true;
    begin();
    const auto is_over = [this] { return !is_under_way_; };
    if (!changed_.wait_for(lock, kStall, is_over)) {
      is_stalled_ = true;
      context_.TryCancel();
      changed_.wait(lock, is_over);
    }
    return is_well_;
  }
  // The call's end.
  grpc::Status End() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return is_done_; });
    if (is_stalled_ && !status_.ok()) {
      return {grpc::StatusCode::UNAVAILABLE,
              absl::StrCat("nothing moved for ", kStall.count(), " s")};
    }
    return status_;
  }

  // From the reactor's reactions.
  void OnTaken(bool is_well) {
    const std::lock_guard lock(mutex_);
    is_under_way_ = false;
    is_well_ = is_well;
    changed_.notify_all();
  }
  void OnDone(const grpc::Status& status) {
    const std::lock_guard lock(mutex_);
    status_ = status;
    is_done_ = true;
    changed_.notify_all();
  }

 private:
  grpc::ClientContext& context_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool is_under_way_ = false;
  bool is_well_ = true;
  bool is_stalled_ = false;
  bool is_done_ = false;
  grpc::Status status_;
};

class FetchReactor : public grpc::ClientReadReactor<remuda::v1::FetchImageResponse> {
 public:
  explicit FetchReactor(grpc::ClientContext& context) : turns_(context) {}

  // nullopt: the stream has ended (see Finish), or stalled.
  std::optional<remuda::v1::FetchImageResponse> Next() {
    if (!turns_.Take([this] { StartRead(&message_); })) return std::nullopt;
    return std::move(message_);
  }
  grpc::Status Finish() { return turns_.End(); }

  void OnReadDone(bool ok) override { turns_.OnTaken(ok); }
  void OnDone(const grpc::Status& status) override { turns_.OnDone(status); }

 private:
  Turns turns_;
  remuda::v1::FetchImageResponse message_;
};

class PushReactor : public grpc::ClientWriteReactor<remuda::v1::PushImageRequest> {
 public:
  explicit PushReactor(grpc::ClientContext& context) : context_(context), turns_(context) {}

  // False: the call has ended (see Finish).
  bool Write(const remuda::v1::PushImageRequest& message) {
    return turns_.Take([this, &message] { StartWrite(&message); });
  }
  grpc::Status Finish(bool whole) {
    if (whole) {
      StartWritesDone();
    } else {
      context_.TryCancel();
    }
    RemoveHold();
    return turns_.End();
  }

  void OnWriteDone(bool ok) override { turns_.OnTaken(ok); }
  void OnDone(const grpc::Status& status) override { turns_.OnDone(status); }

 private:
  grpc::ClientContext& context_;
  Turns turns_;
};

}  // namespace

class ImageClient::Call {
 public:
  explicit Call(ImageClient& client) : client_(client) {
    const std::lock_guard lock(client_.mutex_);
    client_.contexts_.insert(&context);
    if (client_.cancelled_) context.TryCancel();
  }
  ~Call() {
    const std::lock_guard lock(client_.mutex_);
    client_.contexts_.erase(&context);
  }
  grpc::ClientContext context;

 private:
  ImageClient& client_;
};

void ImageClient::Cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* context : contexts_) context->TryCancel();
}

absl::Status ImageClient::Fetch(const std::string& digest, uint64_t offset, const Sink& sink) {
  remuda::v1::FetchImageRequest request;
  request.set_digest(digest);
  request.set_offset(static_cast<int64_t>(offset));
  const auto stub = remuda::v1::ImageService::NewStub(channel_.current());
  Call call(*this);
  FetchReactor reactor(call.context);
  stub->async()->FetchImage(&call.context, &request, &reactor);
  // Reads come from this thread, outside of the reactions.
  reactor.AddHold();
  reactor.StartCall();
  absl::Status sunk;
  while (sunk.ok()) {
    const auto message = reactor.Next();
    if (!message) break;
    sunk = sink(message->chunk());
  }
  if (!sunk.ok()) call.context.TryCancel();
  reactor.RemoveHold();
  const grpc::Status status = reactor.Finish();
  if (!sunk.ok()) return sunk;
  if (status.ok()) return absl::OkStatus();
  const absl::Status error = FromGrpcStatus(status);
  return {error.code(), absl::StrCat("fetch image ", digest, ": ", error.message())};
}

absl::Status ImageClient::PushImage(const Push& push) {
  const Fd file(open(push.archive_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("open ", push.archive_path));
  const auto stub = remuda::v1::ImageService::NewStub(channel_.current());
  Call call(*this);
  remuda::v1::Image image;
  PushReactor reactor(call.context);
  stub->async()->PushImage(&call.context, &image, &reactor);
  reactor.AddHold();
  reactor.StartCall();

  remuda::v1::PushImageRequest message;
  auto* header = message.mutable_header();
  header->set_image_id(push.image_id);
  header->set_digest(push.digest);
  header->set_size_bytes(push.size_bytes);
  header->set_source_instance(push.source_instance);
  header->mutable_labels()->insert(push.labels.begin(), push.labels.end());
  bool open_stream = reactor.Write(message);
  absl::Status read_error;
  while (open_stream) {
    std::string& chunk = *message.mutable_chunk();
    chunk.resize(kChunkBytes);
    const ssize_t n = read(file.get(), chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) read_error = absl::ErrnoToStatus(errno, absl::StrCat("read ", push.archive_path));
    if (n <= 0) break;
    chunk.resize(static_cast<size_t>(n));
    open_stream = reactor.Write(message);
  }
  const grpc::Status status = reactor.Finish(read_error.ok());
  if (!read_error.ok()) return read_error;
  return FromGrpcStatus(status);
}

}  // namespace remuda::agent
