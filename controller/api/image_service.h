// ImageService: images by stream in both directions, their bytes on the blob thread, their rows
// through the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "common/image_signature.h"
#include "controller/api/call_counts.h"
#include "controller/api/calls.h"
#include "controller/images/blobs.h"
#include "controller/images/task_thread.h"
#include "remuda/v1/image.grpc.pb.h"

namespace remuda {

// The blobs, the one thread that touches them, and the one that looks into uploads, which takes as
// long as unpacking does.
struct BlobWorker {
  Blobs& blobs;
  TaskThread& thread;
  TaskThread& checker;
  const ImageKeys& keys;  // not empty: images must be signed by one of them
};

// Uploads and downloads at once of one identity, of limits::kMaxUploads and kMaxDownloads.
inline constexpr size_t kMaxUploadsOfOne = 8;
inline constexpr size_t kMaxDownloadsOfOne = 32;

using CallCountsPtr = std::shared_ptr<CallCounts>;

class ImageService final : public v1::ImageService::CallbackService {
 public:
  // All outlive it and the server.
  ImageService(Calls& calls, BlobWorker worker) : calls_(calls), worker_(worker) {}

  grpc::ServerReadReactor<v1::PushImageRequest>* PushImage(grpc::CallbackServerContext* context,
                                                           v1::Image* answer) override;
  grpc::ServerUnaryReactor* CreateImage(grpc::CallbackServerContext* context,
                                        const v1::CreateImageRequest* request,
                                        v1::Image* answer) override;
  grpc::ServerUnaryReactor* GetImage(grpc::CallbackServerContext* context,
                                     const v1::GetImageRequest* request,
                                     v1::Image* answer) override;
  grpc::ServerUnaryReactor* ListImages(grpc::CallbackServerContext* context,
                                       const v1::ListImagesRequest* request,
                                       v1::ListImagesResponse* answer) override;
  grpc::ServerUnaryReactor* DeleteImage(grpc::CallbackServerContext* context,
                                        const v1::DeleteImageRequest* request,
                                        google::protobuf::Empty* answer) override;
  grpc::ServerWriteReactor<v1::FetchImageResponse>* FetchImage(
      grpc::CallbackServerContext* context, const v1::FetchImageRequest* request) override;

 private:
  using Finisher = std::function<void(const absl::Status&)>;
  void Snapshot(const Finisher& finish, const v1::CreateImageRequest& request, const Caller& caller,
                absl::Duration timeout, v1::Image* answer);

  Calls& calls_;
  const BlobWorker worker_;
  // Shared with the calls: one may outlive the server, in the engine's queue.
  const CallCountsPtr uploads_ =
      std::make_shared<CallCounts>(limits::kMaxUploads, kMaxUploadsOfOne);
  const CallCountsPtr downloads_ =
      std::make_shared<CallCounts>(limits::kMaxDownloads, kMaxDownloadsOfOne);
};

// Has the blob thread remove the blobs that no image and no launch template version names. Thread:
// the loop thread.
void CollectBlobs(const core::State& state, BlobWorker worker);

}  // namespace remuda
