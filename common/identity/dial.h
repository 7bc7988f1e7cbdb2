// How a program dials its controllers: with its identity, or plainly on one machine.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/security/credentials.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/identity/identity_files.h"

namespace remuda::identity {

struct DialOptions {
  std::vector<std::string> controllers;  // as gRPC takes them: HOST:PORT
  std::string directory = {};            // where the identity is (IdentityFiles)
  // The controller has no identities (its own --insecure): only on this machine.
  bool insecure = false;
  // What the identity must be for. Unspecified: anything.
  v1::IdentityRole role = v1::IDENTITY_ROLE_UNSPECIFIED;
  std::string name = {};  // and whose; empty: anybody's
};

struct Dial {
  // Unset without an identity.
  std::optional<IdentityFiles> files;
  Peer self;

  // Starts gRPC, and threads with it: not before the process has blocked its signals.
  std::shared_ptr<grpc::ChannelCredentials> Credentials() const;
};

// FAILED_PRECONDITION: there is no identity, or not the one that is needed, or `insecure` with a
// controller on another machine; the message says what to do. Does not connect, and starts no
// thread.
absl::StatusOr<Dial> PrepareDial(const DialOptions& options);

}  // namespace remuda::identity
