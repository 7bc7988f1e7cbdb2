#include "controller/api/image_service.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/references.h"
#include "common/sha256.h"
#include "common/status.h"
#include "controller/core/door/execute.h"
#include "controller/core/model/names.h"

namespace remuda {
namespace {

constexpr std::string_view kCreateImage = "remuda.v1.ImageService/CreateImage";

}  // namespace

grpc::ServerReadReactor<v1::PushImageRequest>* ImageService::PushImage(
    grpc::CallbackServerContext* context, v1::Image* answer) {
  return OpenPush(context, answer, calls_.controller(), worker_, uploads_);
}

grpc::ServerWriteReactor<v1::FetchImageResponse>* ImageService::FetchImage(
    grpc::CallbackServerContext* context, const v1::FetchImageRequest* request) {
  CallerPtr caller = calls_.CallerOf(context);
  const bool is_controller =
      caller != nullptr && caller->peer.id.role == v1::IDENTITY_ROLE_CONTROLLER;
  // A copy waits for no host's download.
  auto place = (is_controller ? copies_ : downloads_)->Take(CountedAs(caller));
  return OpenFetch(*request, calls_.controller().loop, worker_,
                   {.caller = std::move(caller),
                    .admit = calls_.AdmitTo(context, "remuda.v1.ImageService/FetchImage", *request),
                    .place = std::move(place),
                    .now = [this] { return calls_.controller().engine.Now(); }});
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
