// FetchCall: one download of an image. Bytes that are missing here it waits for, if another
// controller may have them. Thread: gRPC's, which only post.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <grpcpp/impl/codegen/server_callback.h>

#include <functional>
#include <memory>

#include "controller/api/blob_worker.h"
#include "controller/api/call_counts.h"
#include "controller/engine/loop.h"
#include "controller/identity/caller.h"
#include "remuda/v1/image.pb.h"

namespace remuda {

struct FetchOptions {
  CallerPtr caller;
  std::function<absl::Status()> admit;       // asked on the loop, first
  std::unique_ptr<CallCounts::Place> place;  // null: there are too many
  std::function<absl::Time()> now;           // any thread
};

// For ImageService.FetchImage to return. `loop` and what `worker` names outlive the call.
grpc::ServerWriteReactor<v1::FetchImageResponse>* OpenFetch(const v1::FetchImageRequest& request,
                                                            Loop& loop, BlobWorker worker,
                                                            FetchOptions options);

}  // namespace remuda
