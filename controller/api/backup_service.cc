#include "controller/api/backup_service.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "common/status.h"
#include "controller/api/image_upkeep.h"

namespace remuda {
namespace {

using Response = v1::CreateBackupResponse;

constexpr char kBackupMethod[] = "remuda.v1.BackupService/CreateBackup";

// One backup. Run, on the backup thread, waits for each message to be taken before it makes the
// next; gRPC's threads only wake it. The context and the messages are touched by Run alone.
class BackupCall final : public grpc::ServerWriteReactor<Response>,
                         public std::enable_shared_from_this<BackupCall> {
 public:
  static std::shared_ptr<BackupCall> Make(grpc::CallbackServerContext* context) {
    std::shared_ptr<BackupCall> call(new BackupCall(context));
    call->self_ = call;
    return call;
  }

  void OnWriteDone(bool ok) override {
    {
      const std::lock_guard lock(mutex_);
      writing_ = false;
      taken_ = ok;
    }
    changed_.notify_all();
  }
  void OnCancel() override {
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = true;
    }
    changed_.notify_all();
  }
  void OnDone() override { std::exchange(self_, nullptr).reset(); }

  absl::Status Send(Response message) {
    out_ = std::move(message);
    {
      const std::lock_guard lock(mutex_);
      if (cancelled_) return Gone();
      writing_ = true;
    }
    StartWrite(&out_);
    std::unique_lock lock(mutex_);
    const auto is_over = [this] { return !writing_; };
    if (!changed_.wait_for(lock, absl::ToChronoSeconds(Backups::kStall), is_over)) {
      // It ends the write, too.
      context_->TryCancel();
      changed_.wait(lock, is_over);
      return DeadlineExceeded("the caller has read nothing of the backup for too long");
    }
    return taken_ && !cancelled_ ? absl::OkStatus() : Gone();
  }

 private:
  explicit BackupCall(grpc::CallbackServerContext* context) : context_(context) {}
  static absl::Status Gone() { return absl::CancelledError("the caller has gone"); }

  grpc::CallbackServerContext* const context_;
  std::shared_ptr<BackupCall> self_;  // until gRPC is done with it
  Response out_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool writing_ = false;
  bool taken_ = false;
  bool cancelled_ = false;
};

Response HeaderOf(const BackupManifest& manifest, int64_t size_bytes) {
  Response out;
  v1::BackupHeader& header = *out.mutable_header();
  header.set_cluster_id(manifest.cluster_id);
  header.set_epoch(manifest.epoch);
  header.set_commit(manifest.commit);
  header.set_schema_version(manifest.schema);
  header.set_size_bytes(size_bytes);
  return out;
}

// Gathers what comes in pieces of any size into messages.
class Chunks {
 public:
  explicit Chunks(BackupCall& call) : call_(call) {}
  absl::Status Add(std::string_view bytes) {
    buffer_.append(bytes);
    return buffer_.size() < Backups::kChunkBytes ? absl::OkStatus() : Flush();
  }
  absl::Status Flush() {
    if (buffer_.empty()) return absl::OkStatus();
    Response out;
    out.set_chunk(std::exchange(buffer_, {}));
    return call_.Send(std::move(out));
  }

 private:
  BackupCall& call_;
  std::string buffer_;
};

absl::Status Run(Backups& backups, bool with_images, BackupCall& call) {
  Chunks chunks(call);
  absl::Status status = backups.Write(
      with_images,
      {.begin = [&](const BackupManifest& manifest,
                    int64_t size_bytes) { return call.Send(HeaderOf(manifest, size_bytes)); },
       .write = [&](std::string_view bytes) { return chunks.Add(bytes); }});
  if (status.ok()) status = chunks.Flush();
  return status;
}

}  // namespace

grpc::ServerWriteReactor<Response>* BackupService::CreateBackup(
    grpc::CallbackServerContext* context, const v1::CreateBackupRequest* request) {
  const auto call = BackupCall::Make(context);
  BackupCall* const reactor = call.get();
  if (absl::Status status = CheckRequest(*request); !status.ok()) {
    reactor->Finish(ToGrpcStatus(status));
    return reactor;
  }
  auto make = [call, worker = worker_, blobs = blobs_, busy = busy_,
               with_images = !request->without_images(),
               &calls = calls_](const AuditedWrite& taken) {
    const absl::Status status = Run(worker.backups, with_images, *call);
    *busy = false;
    calls.controller().loop.Post([&calls, blobs, taken, status] {
      // What nobody names any more was kept for it.
      CollectBlobs(calls.controller(), blobs);
      calls.Record(taken, status, nullptr);
    });
    call->Finish(ToGrpcStatus(status));
  };
  const auto refuse = [call](const absl::Status& status) { call->Finish(ToGrpcStatus(status)); };
  const absl::Status posted = calls_.controller().loop.PostRequest(
      [admit = calls_.AdmitTo(context, kBackupMethod, *request), refuse, make = std::move(make),
       busy = busy_, worker = worker_, caller = calls_.CallerOf(context), request,
       &calls = calls_] {
        // It changes nothing, but it takes all that there is along: who did is recorded.
        const AuditedWrite taken(calls.controller().engine.state(), caller.get(), kBackupMethod,
                                 *request);
        absl::Status may = admit();
        // Only who may make one keeps others from it.
        if (may.ok() && busy->exchange(true)) {
          may =
              LimitExceeded("kMaxBackups", "a backup is being made already; try again when it is");
        }
        if (!may.ok()) {
          calls.Record(taken, may, nullptr);
          return refuse(may);
        }
        worker.thread.Post([make, taken] { make(taken); });
      });
  if (!posted.ok()) refuse(posted);
  return reactor;
}

}  // namespace remuda
