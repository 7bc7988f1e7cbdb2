// The public API's services, but for images: translate, post to the loop, answer. Every write goes
// by core::ExecuteOnce, every read by core::Read. Thread: gRPC's, which only post.
#pragma once

#include <grpcpp/impl/codegen/service_type.h>

#include <memory>
#include <vector>

#include "controller/api/calls.h"

namespace remuda {

// One of each. `calls` outlives them.
std::vector<std::unique_ptr<grpc::Service>> MakeServices(Calls& calls);

}  // namespace remuda
