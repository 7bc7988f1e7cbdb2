#include "controller/api/fetch_call.h"

#include <optional>
#include <string>
#include <utility>

#include "common/grpc_status.h"
#include "common/ids.h"
#include "common/sha256.h"
#include "common/status.h"
#include "controller/limits.h"

namespace remuda {
namespace {

// One download, all on the blob thread: read a chunk, write it, again.
class FetchCall final : public grpc::ServerWriteReactor<v1::FetchImageResponse>,
                        public std::enable_shared_from_this<FetchCall> {
 public:
  static grpc::ServerWriteReactor<v1::FetchImageResponse>* Open(
      const v1::FetchImageRequest& request, Loop& loop, BlobWorker worker, FetchOptions options) {
    const std::function<absl::Status()> admit = std::move(options.admit);
    std::shared_ptr<FetchCall> call(new FetchCall(request, worker, std::move(options)));
    call->self_ = call;
    if (call->options_.place == nullptr) {
      call->EndLater(LimitExceeded(
          "kMaxDownloads", "too many images are being downloaded already; try again later"));
      return call.get();
    }
    const absl::Status posted = loop.PostRequest([call, admit] {
      const absl::Status may = admit();
      if (!may.ok()) return call->EndLater(may);
      call->worker_.thread.Post([call] {
        if (!call->ended_) call->End(call->Begin());
      });
    });
    if (!posted.ok()) call->EndLater(posted);
    return call.get();
  }

  void OnWriteDone(bool ok) override {
    worker_.thread.Post([call = shared_from_this(), ok] {
      if (!ok) return call->End(absl::CancelledError("the caller has gone"));
      call->End(call->Next());
    });
  }
  void OnCancel() override {
    worker_.thread.Post(
        [call = shared_from_this()] { call->End(absl::CancelledError("the caller has gone")); });
  }
  void OnDone() override {
    worker_.thread.Post([call = shared_from_this()] { call->self_.reset(); });
  }

 private:
  FetchCall(const v1::FetchImageRequest& request, BlobWorker worker, FetchOptions options)
      : request_(request),
        worker_(worker),
        options_(std::move(options)),
        offset_(request.offset()) {}

  void EndLater(const absl::Status& status) {
    worker_.thread.Post([call = shared_from_this(), status] { call->End(status); });
  }

  // Begin and Next answer nullopt while there is more to come, and how the call ends otherwise.
  std::optional<absl::Status> Begin() {
    auto reader = worker_.blobs.Read(request_.digest());
    if (absl::IsNotFound(reader.status()) && worker_.replicas != nullptr && !has_waited_)
      return Await();
    if (!reader.ok()) return reader.status();
    reader_ = *std::move(reader);
    if (offset_ < 0 || offset_ > reader_->size_bytes()) {
      return InvalidField("offset", std::to_string(offset_) + " is not within 0-" +
                                        std::to_string(reader_->size_bytes()));
    }
    // The bytes of a part say nothing.
    if (offset_ == 0) hash_.emplace();
    out_.set_size_bytes(reader_->size_bytes());
    // The first message is sent even if no byte is left: it says the size.
    return Write();
  }
  // Another controller may have the bytes.
  std::optional<absl::Status> Await() {
    has_waited_ = true;
    wait_ = worker_.replicas->AwaitBytes(request_.digest(), options_.now(),
                                         [call = shared_from_this()](const absl::Status& status) {
                                           call->wait_ = 0;
                                           call->End(status.ok() ? call->Begin() : status);
                                         });
    return std::nullopt;
  }
  std::optional<absl::Status> Next() {
    if (ended_) return std::nullopt;
    NoteProgress();
    out_.Clear();
    if (offset_ >= reader_->size_bytes()) return absl::OkStatus();
    return Write();
  }
  std::optional<absl::Status> Write() {
    auto chunk = reader_->Read(offset_, limits::kFetchChunkBytes);
    if (!chunk.ok()) return Lost(chunk.status());
    if (hash_.has_value()) hash_->Update(*chunk);
    offset_ += static_cast<int64_t>(chunk->size());
    const bool is_end = offset_ >= reader_->size_bytes();
    // Before the last of it is sent: nobody gets all of what is wrong.
    if ((chunk->empty() && !is_end) || (is_end && !IsRight())) return Lost(absl::OkStatus());
    out_.set_chunk(*std::move(chunk));
    StartWrite(&out_);
    return std::nullopt;
  }

  // Once all has been read.
  bool IsRight() {
    if (!hash_.has_value()) return true;
    const std::string digest = std::string(kDigestPrefix) + hash_->HexDigest();
    hash_.reset();
    return digest == request_.digest();
  }
  // `status`: why it cannot be read; OK: it can, and is not what it should be.
  absl::Status Lost(const absl::Status& status) {
    absl::Status lost =
        worker_.replicas == nullptr
            ? absl::DataLossError(request_.digest() + ": the disk has lost some of its bytes")
            : worker_.replicas->OnLost(request_.digest(), *reader_, options_.now());
    return status.ok() ? lost : status;
  }

  // A push may wait for a copy that is made by this.
  void NoteProgress() {
    if (worker_.replicas == nullptr || options_.caller == nullptr) return;
    const Caller& caller = *options_.caller;
    const bool is_local = caller.is_local();
    if (!is_local && caller.peer.id.role != v1::IDENTITY_ROLE_CONTROLLER) return;
    worker_.replicas->OnFetched(is_local ? caller.address : caller.actor(), request_.digest(),
                                offset_, options_.now());
  }

  void End(const std::optional<absl::Status>& status) {
    if (ended_ || !status.has_value()) return;
    ended_ = true;
    if (wait_ != 0) worker_.replicas->Forget(std::exchange(wait_, 0));
    reader_.reset();
    Finish(ToGrpcStatus(*status));
  }

  const v1::FetchImageRequest request_;
  const BlobWorker worker_;
  const FetchOptions options_;
  std::shared_ptr<FetchCall> self_;  // until gRPC is done with it
  std::unique_ptr<Blobs::Reader> reader_;
  std::optional<Sha256> hash_;  // of all that was read; not set: not from the beginning on
  v1::FetchImageResponse out_;
  int64_t offset_;
  uint64_t wait_ = 0;  // of Replicas; 0: none
  bool has_waited_ = false;
  bool ended_ = false;
};

}  // namespace

grpc::ServerWriteReactor<v1::FetchImageResponse>* OpenFetch(const v1::FetchImageRequest& request,
                                                            Loop& loop, BlobWorker worker,
                                                            FetchOptions options) {
  return FetchCall::Open(request, loop, worker, std::move(options));
}

}  // namespace remuda
