#include "controller/api/push_call.h"

#include <atomic>
#include <optional>
#include <utility>

#include "common/archive.h"
#include "common/grpc_status.h"
#include "common/ids.h"
#include "common/references.h"
#include "common/status.h"
#include "controller/api/calls.h"
#include "controller/api/image_upkeep.h"
#include "controller/core/door/execute.h"
#include "controller/core/model/names.h"

namespace remuda {
namespace {

constexpr std::string_view kPushImage = "remuda.v1.ImageService/PushImage";

absl::Status TooManyUploads() {
  return LimitExceeded("kMaxUploads",
                       "too many images are being uploaded already; try again later");
}

// One upload. Everything runs on the blob thread, and every operation is started there; looking
// into the archive hops to the checker and back, registration to the loop and back. Between them it
// waits for copies.
//
// gRPC's context and the answer are there until OnDone, which comes after Finish: they are touched
// on the blob thread only, and only before `ended_`. Other threads look at `cancelled_`.
class PushCall final : public grpc::ServerReadReactor<v1::PushImageRequest>,
                       public std::enable_shared_from_this<PushCall> {
 public:
  static grpc::ServerReadReactor<v1::PushImageRequest>* Open(grpc::CallbackServerContext* context,
                                                             v1::Image* answer,
                                                             Controller& controller,
                                                             BlobWorker worker,
                                                             const CallCountsPtr& uploads) {
    std::shared_ptr<PushCall> call(new PushCall(context, answer, controller, worker, uploads));
    call->self_ = call;
    worker.thread.Post([call] { call->StartRead(&call->in_); });
    return call.get();
  }

  void OnReadDone(bool ok) override {
    worker_.thread.Post([call = shared_from_this(), ok] { call->HandleRead(ok); });
  }
  void OnCancel() override {
    cancelled_ = true;
    worker_.thread.Post([call = shared_from_this()] { call->End(Gone()); });
  }
  void OnDone() override {
    worker_.thread.Post([call = shared_from_this()] { call->self_.reset(); });
  }

 private:
  static absl::Status Gone() { return absl::CancelledError("the caller has gone"); }

  PushCall(grpc::CallbackServerContext* context, v1::Image* answer, Controller& controller,
           BlobWorker worker, CallCountsPtr uploads)
      : context_(context),
        answer_(answer),
        caller_(controller.callers.Find(context->peer())),
        controller_(controller),
        worker_(worker),
        uploads_(std::move(uploads)) {}

  void HandleRead(bool ok) {
    if (ended_) return;
    if (!ok) return Complete();
    if (in_.has_header()) {
      const absl::Status status = HandleHeader();
      return status.ok() ? Ask() : End(status);
    }
    const absl::Status status = HandleChunk();
    if (!status.ok()) return End(status);
    StartRead(&in_);
  }

  // Whether the caller may, by the loop.
  void Ask() {
    const absl::Status posted =
        controller_.loop.PostRequest([call = shared_from_this(), request = in_] {
          v1::Image image;
          image.set_name(core::FullName(core::kImages, request.header().image_id()));
          call->write_.emplace(call->controller_.engine.state(), call->caller_.get(), kPushImage,
                               image);
          const absl::Status may = call->MayPush(request);
          call->worker_.thread.Post([call, may] { call->Admitted(may); });
        });
    if (!posted.ok()) End(posted);
  }
  // On the loop.
  absl::Status MayPush(const v1::PushImageRequest& request) const {
    absl::Status may = controller_.MayCall(caller_.get(), kPushImage, request);
    if (!may.ok() || caller_->peer.id.role != v1::IDENTITY_ROLE_AGENT) return may;
    const auto instance = core::IdIn(core::kInstances, request.header().source_instance());
    if (instance.has_value() && controller_.agents.IsMaking(caller_->peer.id.name, *instance,
                                                            request.header().image_id())) {
      return absl::OkStatus();
    }
    return absl::PermissionDeniedError(caller_->actor() +
                                       " may not push an image that it was not asked for");
  }
  void Admitted(const absl::Status& status) {
    if (ended_) return;
    if (!status.ok()) return End(status);
    // Not before: one who may push nothing must not keep out those who may.
    place_ = uploads_->Take(CountedAs(caller_));
    if (place_ == nullptr) return End(TooManyUploads());
    auto upload = worker_.blobs.Begin();
    if (!upload.ok()) return End(upload.status());
    upload_ = *std::move(upload);
    StartRead(&in_);
  }

  absl::Status HandleHeader() {
    if (upload_ != nullptr) return InvalidField("header", "comes once, as the first message");
    if (absl::Status status = CheckRequest(in_); !status.ok()) return status;
    header_ = in_.header();
    if (!core::IsValidId(header_.image_id())) {
      return InvalidField("header.image_id", "\"" + header_.image_id().substr(0, 128) +
                                                 "\" is not [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");
    }
    if (header_.size_bytes() < 0)
      return InvalidField("header.size_bytes",
                          std::to_string(header_.size_bytes()) + " is below 0");
    if (absl::Status status = CheckSignatures(); !status.ok()) return status;
    if (absl::Status status = worker_.blobs.CheckSize(header_.size_bytes()); !status.ok())
      return status;
    return absl::OkStatus();
  }

  // Before a byte is taken: that the bytes are those of the digest is checked at the end.
  absl::Status CheckSignatures() const {
    if (header_.signatures_size() > 0 && header_.digest().empty())
      return InvalidField("header.digest", "must be set with signatures, which are of it");
    if (worker_.keys.empty()) return absl::OkStatus();
    std::vector<SignedDigest> signatures;
    for (const auto& one : header_.signatures())
      signatures.push_back({one.key_id(), one.signature()});
    return worker_.keys.Check(header_.digest(), signatures);
  }

  absl::Status HandleChunk() {
    if (upload_ == nullptr) return InvalidField("header", "must be the first message");
    if (in_.chunk().size() > limits::kMaxImageChunkBytes) {
      return InvalidField("chunk", std::to_string(in_.chunk().size()) + " bytes are more than " +
                                       std::to_string(limits::kMaxImageChunkBytes));
    }
    return upload_->Append(in_.chunk());
  }

  // The caller has sent everything, or is gone: only the first makes an image.
  void Complete() {
    if (cancelled_ || context_->IsCancelled()) return End(Gone());
    if (upload_ == nullptr) return End(InvalidField("header", "must be the first message"));
    const absl::Status sealed =
        worker_.blobs.Seal(*upload_, header_.digest(), header_.size_bytes());
    if (!sealed.ok()) return End(sealed);
    worker_.checker.Post([call = shared_from_this(), path = upload_->path()] {
      absl::Status status =
          CheckArchive(path, {}, [&call] { return call->cancelled_.load(); }).status();
      call->worker_.thread.Post([call, status = std::move(status)] { call->Checked(status); });
    });
  }

  void Checked(const absl::Status& status) {
    if (ended_) return;
    if (absl::IsInvalidArgument(status)) {
      return End(InvalidField("chunk", std::string(status.message())));
    }
    if (!status.ok()) return End(status);  // the controller's own trouble
    const auto blob = worker_.blobs.Finish(*upload_);
    if (!blob.ok()) return End(blob.status());
    blob_ = *blob;
    if (worker_.replicas == nullptr) return Held();
    wait_ =
        worker_.replicas->AwaitCopies(blob_->digest, blob_->size_bytes, controller_.engine.Now(),
                                      [call = shared_from_this()](const absl::Status& held) {
                                        call->wait_ = 0;
                                        held.ok() ? call->Held() : call->Registered(held);
                                      });
  }

  // By as many controllers as are wanted.
  void Held() {
    core::RegisterImage command;
    command.image.set_name(core::FullName(core::kImages, header_.image_id()));
    command.image.set_digest(blob_->digest);
    command.image.set_size_bytes(blob_->size_bytes);
    command.image.set_source_instance(header_.source_instance());
    *command.image.mutable_labels() = header_.labels();
    *command.image.mutable_signatures() = header_.signatures();
    const absl::Status posted = controller_.loop.PostRequest(
        [call = shared_from_this(), command = std::move(command)] { call->Register(command); });
    if (!posted.ok()) Registered(posted);
  }

  // On the loop.
  void Register(const core::RegisterImage& command) {
    auto image = std::make_shared<v1::Image>();
    controller_.engine.Add({
        .decide = [call = shared_from_this(), command, image](
                      core::Draft& draft, const core::Context& context) -> absl::Status {
          // A torn connection can look like the end of the stream before it is seen to be torn.
          if (call->cancelled_) return Gone();
          v1::PushImageRequest request;
          *request.mutable_header() = call->header_;
          absl::Status may =
              call->controller_.MayCall(draft, call->caller_.get(), kPushImage, request);
          if (!may.ok()) return may;
          const std::string actor = call->caller_->actor();
          core::Context asked = context;
          asked.who = {.actor = actor, .serial = call->caller_->peer.serial};
          auto decided = core::Execute(draft, command, asked);
          if (!decided.ok()) return decided.status();
          *image = *std::move(decided);
          return absl::OkStatus();
        },
        .done =
            [call = shared_from_this(), image](const absl::Status& status,
                                               const core::State& state) {
              if (status.ok() && call->controller_.audit != nullptr)
                call->controller_.audit->Write(call->write_->Done(state, status, nullptr));
              call->worker_.thread.Post([call, image, status] {
                if (status.ok() && !call->ended_) {
                  *call->answer_ = std::move(*image);
                  ToFullNames(*call->answer_);
                }
                call->Registered(status);
              });
            },
    });
  }

  // Or not.
  void Registered(const absl::Status& status) {
    worker_.blobs.Release(blob_->digest);
    if (!status.ok()) Collect();
    End(status);
  }

  // Nothing names its bytes, which may be many.
  void Collect() {
    controller_.loop.Post(
        [&controller = controller_, worker = worker_] { CollectBlobs(controller, worker); });
  }

  void End(const absl::Status& status) {
    if (ended_) return;
    ended_ = true;
    upload_.reset();
    // The caller has gone while copies were made: nothing calls Registered any more.
    if (wait_ != 0) {
      worker_.replicas->Forget(std::exchange(wait_, 0));
      worker_.blobs.Release(blob_->digest);
      Collect();
    }
    if (!status.ok() && write_.has_value() && controller_.audit != nullptr)
      controller_.audit->Write(write_->Failed(status));
    Finish(ToGrpcStatus(status));
  }

  grpc::CallbackServerContext* const context_;
  v1::Image* const answer_;
  const CallerPtr caller_;
  Controller& controller_;
  const BlobWorker worker_;
  const CallCountsPtr uploads_;
  std::unique_ptr<CallCounts::Place> place_;  // once it is admitted
  std::optional<AuditedWrite> write_;         // made by the loop, before Admitted
  std::shared_ptr<PushCall> self_;            // until gRPC is done with it
  v1::PushImageRequest in_;
  v1::ImageHeader header_;
  std::unique_ptr<Blobs::Upload> upload_;
  std::optional<Blobs::Blob> blob_;  // once it is whole
  uint64_t wait_ = 0;                // of Replicas; 0: none
  bool ended_ = false;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace

std::string CountedAs(const CallerPtr& caller) {
  return caller == nullptr || caller->is_local() ? "" : caller->actor();
}

grpc::ServerReadReactor<v1::PushImageRequest>* OpenPush(grpc::CallbackServerContext* context,
                                                        v1::Image* answer, Controller& controller,
                                                        BlobWorker worker,
                                                        const CallCountsPtr& uploads) {
  return PushCall::Open(context, answer, controller, worker, uploads);
}

}  // namespace remuda
