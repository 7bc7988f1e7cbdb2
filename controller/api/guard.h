// Guard: looks at every call before its service does, also at gRPC's own services (reflection,
// health, channelz), and ends those that nobody of that identity or role may make.
//
// The services of the API ask for themselves (Controller::MayCall), with the request and an error
// that says why; what the guard ends is CANCELLED, as gRPC's interceptors can do no more.
// Thread: gRPC's.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <memory>

#include "controller/api/controller.h"

namespace remuda {

// `controller` outlives the server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeGuard(
    const Controller& controller);

}  // namespace remuda
