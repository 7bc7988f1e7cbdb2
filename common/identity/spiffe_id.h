// Names of identities, as certificates carry them: `spiffe://CLUSTER/ROLE/NAME`. Pure. Any thread.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "remuda/v1/identity.pb.h"

namespace remuda::identity {

inline constexpr size_t kMaxSpiffeIdBytes = 255;

struct SpiffeId {
  std::string cluster;  // the trust domain: the cluster's id
  v1::IdentityRole role = v1::IDENTITY_ROLE_UNSPECIFIED;
  std::string name;  // as resources are named

  bool operator==(const SpiffeId&) const = default;
};

// "controller", "agent", "proxy", "person"; "" for no role.
std::string_view RoleText(v1::IdentityRole role);
// IDENTITY_ROLE_UNSPECIFIED for another text.
v1::IdentityRole RoleOf(std::string_view text);

// "spiffe://CLUSTER/agent/h1".
std::string Text(const SpiffeId& id);
// "agent/h1": who that is within its cluster.
std::string ActorText(const SpiffeId& id);

// INVALID_ARGUMENT with the value and the rule.
absl::StatusOr<SpiffeId> ParseSpiffeId(std::string_view text);

// Whether it may be a name in an identity: `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`.
bool IsIdentityName(std::string_view name);

}  // namespace remuda::identity
