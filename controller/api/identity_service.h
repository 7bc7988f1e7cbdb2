// IdentityService: who may speak to the cluster. Certificates are issued here; rows go by the door
// as all others do. Thread: gRPC's, which only post, but for signing.
#pragma once

#include <grpcpp/impl/codegen/service_type.h>

#include <memory>

#include "controller/api/calls.h"

namespace remuda {

// `calls` outlives it.
std::unique_ptr<grpc::Service> MakeIdentityService(Calls& calls);

// A text that nobody can guess, to join with: 32 random bytes in base64url.
std::string MakeTokenText();

}  // namespace remuda
