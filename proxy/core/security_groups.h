// Security groups of a config, and what the listeners of load balancers make of them. Used by the
// compiler alone.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "proxy/core/config_fwd.h"
#include "proxy/core/fault.h"
#include "proxy/core/routing_table.h"

namespace remuda::proxy {

// Of a table.
inline constexpr int kMaxSecurityGroups = 1000;
// Blocks that all groups of a table name: a controller puts addresses in place of groups that are
// sources.
inline constexpr int kMaxIngressBlocks = 262'144;

// The groups after an update of `previous`, and the ids of those that are new, other, or gone.
struct SecurityGroupUpdate {
  SecurityGroups groups;
  std::set<std::string> changed;
};

// False, with `error`, if one is not right; `out` means nothing then.
bool UpdateSecurityGroups(const SecurityGroups& previous, const v1::ConfigUpdate& update,
                          SecurityGroupUpdate& out, ConfigError& error);

// Sets `ingress` of each listener of `balancer`, which is compiled from `config`.
Fault AttachIngress(const remuda::v1::LoadBalancer& config, const SecurityGroups& groups,
                    LoadBalancer& balancer);

// Whether a load balancer must be attached anew.
bool IsTouched(const remuda::v1::LoadBalancer& config, const SecurityGroupUpdate& update);

}  // namespace remuda::proxy
