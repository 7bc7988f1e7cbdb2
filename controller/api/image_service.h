// ImageService: images by stream in both directions, their bytes on the blob thread, their rows
// through the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "controller/api/blob_worker.h"
#include "controller/api/calls.h"
#include "controller/api/fetch_call.h"
#include "controller/api/push_call.h"
#include "remuda/v1/image.grpc.pb.h"

namespace remuda {

// Uploads and downloads at once of one identity, of limits::kMaxUploads and kMaxDownloads.
inline constexpr size_t kMaxUploadsOfOne = 8;
inline constexpr size_t kMaxDownloadsOfOne = 32;
// Downloads at once of controllers that make copies, and of one of them.
inline constexpr size_t kMaxCopies = 256;
inline constexpr size_t kMaxCopiesOfOne = 16;

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
  const CallCountsPtr copies_ = std::make_shared<CallCounts>(kMaxCopies, kMaxCopiesOfOne);
};

}  // namespace remuda
