// Caller: who is at the other end of a connection. Immutable; any thread.
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <string>

#include "common/identity/peer.h"

namespace remuda {

struct Caller {
  // Of its certificate. Without a role: the API is served without identities (--insecure), and
  // whoever reaches it may do everything.
  identity::Peer peer;
  std::string address;  // "ADDRESS:PORT" that the connection came from
  // Its certificate alone; empty where the gate keeps none (Gate::Options).
  std::string certificate_pem = {};

  bool is_local() const { return peer.id.role == v1::IDENTITY_ROLE_UNSPECIFIED; }
  // "person/alice"; "local" without identities.
  std::string actor() const { return is_local() ? "local" : identity::ActorText(peer.id); }
};

using CallerPtr = std::shared_ptr<const Caller>;

}  // namespace remuda
