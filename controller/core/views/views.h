// Views: what each receiver shall make so, from state and observations. Pure.
//
// Thread: the loop thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/model/observations.h"
#include "controller/core/model/state.h"
#include "remuda/agent/v1/agent.pb.h"
#include "remuda/proxy/v1/config.pb.h"

namespace remuda::core {

// The instances that a host shall have, by id. Instances that the host reports and the state does
// not know are STOPPED ones.
using Assignment = std::map<std::string, agent::v1::InstanceAssignment, std::less<>>;
Assignment AssignmentFor(const State& state, const Observations& seen, std::string_view host);

// The part of a proxy's config that belongs to one target group; empty when the group is not there.
struct TargetGroupView {
  std::optional<v1::TargetGroup> target_group;
  std::optional<proxy::v1::TrafficSplit> split;
  std::map<std::string, proxy::v1::Target, std::less<>> targets;  // by target id
};
TargetGroupView TargetGroupViewOf(const State& state, const Observations& seen,
                                  std::string_view target_group);

// Load balancers that a proxy serves, by id.
std::vector<std::string> LoadBalancersOf(const State& state, std::string_view proxy);

// Certificates that its listeners show, by id.
std::set<std::string> CertificatesOf(const v1::LoadBalancer& load_balancer);

// Everything that a proxy serves. The shell keeps it up to date piece by piece (TargetGroupViewOf
// for groups that changed); this is the same from nothing.
proxy::v1::ProxyConfig ConfigFor(const State& state, const Observations& seen,
                                 std::string_view proxy);

// Target groups whose view the changes can touch: the target group itself, those of an instance's
// group, and so on.
std::set<std::string> TargetGroupsTouchedBy(const State& before, const State& after,
                                            const Changes& changes);

}  // namespace remuda::core
