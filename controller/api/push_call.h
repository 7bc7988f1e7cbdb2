// PushCall: one upload of an image: its bytes by stream, checked, held by as many controllers as
// are wanted, then registered. Thread: gRPC's, which only post.
#pragma once

#include <grpcpp/impl/codegen/server_callback.h>

#include <memory>
#include <string>

#include "controller/api/blob_worker.h"
#include "controller/api/call_counts.h"
#include "controller/api/controller.h"
#include "remuda/v1/image.pb.h"

namespace remuda {

using CallCountsPtr = std::shared_ptr<CallCounts>;

// Whom a call counts for. Without identities there is one caller, to whom everything is open.
std::string CountedAs(const CallerPtr& caller);

// For ImageService.PushImage to return. `controller` and what `worker` names outlive the call,
// which may outlive the server, in the engine's queue.
grpc::ServerReadReactor<v1::PushImageRequest>* OpenPush(grpc::CallbackServerContext* context,
                                                        v1::Image* answer, Controller& controller,
                                                        BlobWorker worker,
                                                        const CallCountsPtr& uploads);

}  // namespace remuda
