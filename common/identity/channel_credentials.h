// How a program proves who it is to a controller, and knows a controller: gRPC's credentials over
// an identity on disk.
#pragma once

#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>

#include "common/identity/identity_files.h"

namespace remuda::identity {

// Mutual TLS. The files are looked at again every kReloadSeconds: a connection that is made later
// shows what stands there then, and none that is open is touched. Only a controller of `cluster`
// is talked to: `spiffe://CLUSTER/controller/...`, signed by one of the authorities; its address is
// not part of its name. Any thread.
inline constexpr unsigned kReloadSeconds = 2;
std::shared_ptr<grpc::ChannelCredentials> ChannelCredentials(const IdentityFiles& files,
                                                             const std::string& cluster);

}  // namespace remuda::identity
