#include "controller/api/image_service.h"

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "common/archive.h"
#include "common/references.h"
#include "common/sha256.h"
#include "common/status.h"
#include "controller/core/door/execute.h"
#include "controller/core/model/names.h"

namespace remuda {
namespace {

constexpr std::string_view kCreateImage = "remuda.v1.ImageService/CreateImage";
constexpr std::string_view kPushImage = "remuda.v1.ImageService/PushImage";

// Whom a call counts for. Without identities there is one caller, to whom everything is open.
std::string CountedAs(const CallerPtr& caller) {
  return caller == nullptr || caller->is_local() ? "" : caller->actor();
}

absl::Status TooManyUploads() {
  return LimitExceeded("kMaxUploads",
                       "too many images are being uploaded already; try again later");
}

// One upload. Everything runs on the blob thread, and every operation is started there; looking
// into the archive hops to the checker and back, registration to the loop and back.
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
    core::RegisterImage command;
    command.image.set_name(core::FullName(core::kImages, header_.image_id()));
    command.image.set_digest(blob->digest);
    command.image.set_size_bytes(blob->size_bytes);
    command.image.set_source_instance(header_.source_instance());
    *command.image.mutable_labels() = header_.labels();
    *command.image.mutable_signatures() = header_.signatures();
    const absl::Status posted = controller_.loop.PostRequest(
        [call = shared_from_this(), command = std::move(command)] { call->Register(command); });
    if (!posted.ok()) Registered(posted, blob->digest);
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
            [call = shared_from_this(), image, digest = command.image.digest()](
                const absl::Status& status, const core::State& state) {
              if (status.ok() && call->controller_.audit != nullptr)
                call->controller_.audit->Write(call->write_->Done(state, status, nullptr));
              call->worker_.thread.Post([call, image, digest, status] {
                if (status.ok() && !call->ended_) {
                  *call->answer_ = std::move(*image);
                  ToFullNames(*call->answer_);
                }
                call->Registered(status, digest);
              });
              if (!status.ok()) CollectBlobs(state, call->worker_);
            },
    });
  }

  void Registered(const absl::Status& status, const std::string& digest) {
    worker_.blobs.Release(digest);
    End(status);
  }

  void End(const absl::Status& status) {
    if (ended_) return;
    ended_ = true;
    upload_.reset();
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
  bool ended_ = false;
  std::atomic<bool> cancelled_ = false;
};

// One download, all on the blob thread: read a chunk, write it, again.
class FetchCall final : public grpc::ServerWriteReactor<v1::FetchImageResponse>,
                        public std::enable_shared_from_this<FetchCall> {
 public:
  static grpc::ServerWriteReactor<v1::FetchImageResponse>* Open(
      const v1::FetchImageRequest& request, Loop& loop, std::function<absl::Status()> admit,
      BlobWorker worker, std::unique_ptr<CallCounts::Place> place) {
    const bool has_place = place != nullptr;
    std::shared_ptr<FetchCall> call(new FetchCall(request, worker, std::move(place)));
    call->self_ = call;
    if (!has_place) {
      call->EndLater(LimitExceeded(
          "kMaxDownloads", "too many images are being downloaded already; try again later"));
      return call.get();
    }
    const absl::Status posted = loop.PostRequest([call, admit = std::move(admit)] {
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
  FetchCall(const v1::FetchImageRequest& request, BlobWorker worker,
            std::unique_ptr<CallCounts::Place> place)
      : request_(request), worker_(worker), place_(std::move(place)), offset_(request.offset()) {}

  void EndLater(const absl::Status& status) {
    worker_.thread.Post([call = shared_from_this(), status] { call->End(status); });
  }

  // Begin and Next answer nullopt while there is more to come, and how the call ends otherwise.
  std::optional<absl::Status> Begin() {
    auto reader = worker_.blobs.Read(request_.digest());
    if (!reader.ok()) return reader.status();
    reader_ = *std::move(reader);
    if (offset_ < 0 || offset_ > reader_->size_bytes()) {
      return InvalidField("offset", std::to_string(offset_) + " is not within 0-" +
                                        std::to_string(reader_->size_bytes()));
    }
    out_.set_size_bytes(reader_->size_bytes());
    // The first message is sent even if no byte is left: it says the size.
    return Write();
  }
  std::optional<absl::Status> Next() {
    if (ended_) return std::nullopt;
    out_.Clear();
    if (offset_ >= reader_->size_bytes()) return absl::OkStatus();
    return Write();
  }
  std::optional<absl::Status> Write() {
    auto chunk = reader_->Read(offset_, limits::kFetchChunkBytes);
    if (!chunk.ok()) return chunk.status();
    offset_ += static_cast<int64_t>(chunk->size());
    out_.set_chunk(*std::move(chunk));
    StartWrite(&out_);
    return std::nullopt;
  }

  void End(const std::optional<absl::Status>& status) {
    if (ended_ || !status.has_value()) return;
    ended_ = true;
    reader_.reset();
    Finish(ToGrpcStatus(*status));
  }

  const v1::FetchImageRequest request_;
  const BlobWorker worker_;
  const std::unique_ptr<CallCounts::Place> place_;
  std::shared_ptr<FetchCall> self_;  // until gRPC is done with it
  std::unique_ptr<Blobs::Reader> reader_;
  v1::FetchImageResponse out_;
  int64_t offset_;
  bool ended_ = false;
};

}  // namespace

void CollectBlobs(const core::State& state, BlobWorker worker) {
  std::set<std::string> referenced;
  for (const auto& [id, image] : state.All<v1::Image>()) referenced.insert(image->digest());
  for (const auto& [key, version] : state.All<v1::LaunchTemplateVersion>())
    referenced.insert(version->image_digest());
  worker.thread.Post(
      [worker, referenced = std::move(referenced)] { worker.blobs.Collect(referenced); });
}

grpc::ServerReadReactor<v1::PushImageRequest>* ImageService::PushImage(
    grpc::CallbackServerContext* context, v1::Image* answer) {
  return PushCall::Open(context, answer, calls_.controller(), worker_, uploads_);
}

grpc::ServerWriteReactor<v1::FetchImageResponse>* ImageService::FetchImage(
    grpc::CallbackServerContext* context, const v1::FetchImageRequest* request) {
  return FetchCall::Open(*request, calls_.controller().loop,
                         calls_.AdmitTo(context, "remuda.v1.ImageService/FetchImage", *request),
                         worker_, downloads_->Take(CountedAs(calls_.CallerOf(context))));
}

grpc::ServerUnaryReactor* ImageService::GetImage(grpc::CallbackServerContext* context,
                                                 const v1::GetImageRequest* request,
                                                 v1::Image* answer) {
  return calls_.Read(context, "remuda.v1.ImageService/GetImage", request, answer);
}

grpc::ServerUnaryReactor* ImageService::ListImages(grpc::CallbackServerContext* context,
                                                   const v1::ListImagesRequest* request,
                                                   v1::ListImagesResponse* answer) {
  return calls_.Read(context, "remuda.v1.ImageService/ListImages", request, answer);
}

grpc::ServerUnaryReactor* ImageService::DeleteImage(grpc::CallbackServerContext* context,
                                                    const v1::DeleteImageRequest* request,
                                                    google::protobuf::Empty* answer) {
  return calls_.Write(context, "remuda.v1.ImageService/DeleteImage", request, answer);
}

grpc::ServerUnaryReactor* ImageService::CreateImage(grpc::CallbackServerContext* context,
                                                    const v1::CreateImageRequest* request,
                                                    v1::Image* answer) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const absl::Duration left =
      absl::FromChrono(context->deadline() - std::chrono::system_clock::now());
  const absl::Duration timeout = std::min(left, limits::kSnapshotTimeout);
  CallerPtr caller = calls_.CallerOf(context);
  return calls_.Post(
      reactor, [this, reactor, request, timeout, answer, caller = std::move(caller)] {
        Controller& controller = calls_.controller();
        const auto write = std::make_shared<const AuditedWrite>(
            controller.engine.state(), caller.get(), kCreateImage, *request);
        const Finisher finish = [this, reactor, write, answer](const absl::Status& status) {
          calls_.Record(*write, status, answer);
          Calls::Finish(reactor, status);
        };
        absl::Status status = controller.MayCall(caller.get(), kCreateImage, *request);
        if (status.ok()) status = CheckRequest(*request);
        if (!status.ok()) return finish(status);
        Snapshot(finish, *request, *caller, timeout, answer);
      });
}

void ImageService::Snapshot(const Finisher& finish, const v1::CreateImageRequest& request,
                            const Caller& caller, absl::Duration timeout, v1::Image* answer) {
  const auto id = core::IdIn(core::kImages, request.image_id());
  if (!id.has_value()) {
    return finish(InvalidField("image_id", "\"" + request.image_id().substr(0, 128) +
                                               "\" is not [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"));
  }
  const auto instance_id = core::IdIn(core::kInstances, request.instance());
  if (!instance_id.has_value()) {
    return finish(InvalidField(
        "instance", "\"" + request.instance().substr(0, 128) + "\" is not an instance's name"));
  }
  Controller& controller = calls_.controller();
  const core::State& state = controller.engine.state();
  const std::string name = core::FullName(core::kImages, *id);
  const std::string actor = caller.actor();
  const core::Once once(kCreateImage, request, &Sha256Hex, {.actor = actor});
  const auto replayed = once.Replay(core::Draft(state), controller.engine.snapshot().now, *answer);
  if (!replayed.ok() || *replayed) {
    ToFullNames(*answer);
    return finish(replayed.status());
  }
  const auto* instance = state.Find<v1::Instance>(*instance_id);
  if (instance == nullptr) return finish(NotFound(core::FullName(core::kInstances, *instance_id)));
  if (state.Find<v1::Image>(*id) != nullptr)
    return finish(AlreadyExists(name, "an image never changes"));
  if (request.validate_only()) {
    answer->set_name(name);
    answer->set_source_instance(core::FullName(core::kInstances, *instance_id));
    *answer->mutable_labels() = request.labels();
    return finish(absl::OkStatus());
  }
  agent::v1::SnapshotRequest snapshot;
  snapshot.set_instance(*instance_id);
  snapshot.set_image_id(*id);
  *snapshot.mutable_labels() = request.labels();
  const auto done = [finish, answer, name, once, &controller](const absl::Status& status) {
    if (!status.ok()) return finish(status);
    v1::GetImageRequest get;
    get.set_name(name);
    auto image = core::Read(controller.engine.snapshot(), get);
    if (!image.ok()) return finish(image.status());
    *answer = *image;
    ToFullNames(*answer);
    controller.engine.Add(
        {.decide = [once, image = *std::move(image)](core::Draft& draft,
                                                     const core::Context& context) -> absl::Status {
           once.Keep(draft, context.now, image);
           return absl::OkStatus();
         },
         .done = [finish](const absl::Status& kept, const core::State&) { finish(kept); }});
  };
  controller.agents.Snapshot((*instance)->host(), std::move(snapshot), done, timeout);
}

}  // namespace remuda
