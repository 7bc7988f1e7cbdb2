#include "common/identity/dial.h"

#include "common/endpoint.h"
#include "common/identity/channel_credentials.h"

namespace remuda::identity {

absl::StatusOr<Dial> PrepareDial(const DialOptions& options) {
  if (options.insecure) {
    for (const std::string& controller : options.controllers) {
      if (IsOnThisMachine(controller)) continue;
      return absl::FailedPreconditionError(
          "--insecure: the controller " + controller +
          " is not on this machine: without identities only a loopback address is dialled");
    }
    return Dial{.files = {}, .self = {}};
  }
  const IdentityFiles files = FilesIn(options.directory);
  auto held = LoadIdentity(files);
  if (absl::IsNotFound(held.status())) {
    return absl::FailedPreconditionError(
        std::string(held.status().message()) + ", so " + options.directory +
        " holds no identity: join the cluster first (docs/operations.md), or give --insecure for a "
        "controller on this machine that was started with --insecure");
  }
  if (!held.ok()) return held.status();
  Peer& self = held->peer;
  if (options.role != v1::IDENTITY_ROLE_UNSPECIFIED && self.id.role != options.role) {
    return absl::FailedPreconditionError(files.identity + ": is the identity of " + Text(self.id) +
                                         ", and that of a " + std::string(RoleText(options.role)) +
                                         " is needed");
  }
  if (!options.name.empty() && self.id.name != options.name) {
    return absl::FailedPreconditionError(files.identity + ": is the identity of " + Text(self.id) +
                                         ", and --name is " + options.name);
  }
  return Dial{.files = files, .self = std::move(self)};
}

std::shared_ptr<grpc::ChannelCredentials> Dial::Credentials() const {
  return files.has_value() ? ChannelCredentials(*files, self.id.cluster)
                           : grpc::InsecureChannelCredentials();
}

}  // namespace remuda::identity
