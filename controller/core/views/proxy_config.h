// All that one proxy shall serve, from state and observations. Pure.
//
// Thread: the loop thread.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/model/observations.h"
#include "controller/core/model/state.h"
#include "remuda/proxy/v1/config.pb.h"

namespace remuda::core {

// Load balancers that a proxy serves, by id.
std::vector<std::string> LoadBalancersOf(const State& state, std::string_view proxy);

// Certificates that its listeners show, by id.
std::set<std::string> CertificatesOf(const v1::LoadBalancer& load_balancer);

// Everything that a proxy serves. The shell keeps it up to date piece by piece (TargetGroupViewOf
// for groups that changed); this is the same from nothing.
proxy::v1::ProxyConfig ConfigFor(const State& state, const Observations& seen,
                                 std::string_view proxy);

}  // namespace remuda::core
