// Field by field checks of the config message: each names the field, the value and the rule. Used
// by the compiler alone.
#pragma once

#include <string>

#include "proxy/core/fault.h"
#include "proxy/core/routing_table.h"
#include "proxy/core/rule_check.h"
#include "remuda/proxy/v1/config.pb.h"

namespace remuda::proxy {

// "200,202,300-399" within 200-499.
Fault ParseMatcher(const std::string& text, std::vector<std::pair<int, int>>& out);

// An address or a CIDR block ("10.0.0.0/8"); `field` is for the fault.
Fault ParseCidr(std::string_view field, const std::string& text, Cidr& out);

// The target's id, or what stands for it if it has none: "10.0.0.1:80", "[2001:db8::1]:80", in the
// address's one spelling.
std::string TargetIdOf(const v1::Target& target);

// How the group's targets are checked.
// After CompileProtocol.
Fault CompileWebSocketClose(const remuda::v1::TargetGroup& group, TargetGroup& out);
Fault CompileHealthCheck(const remuda::v1::TargetGroup& group, HealthCheckSpec& out);

Fault CompileLoadBalancer(const remuda::v1::LoadBalancer& config, const GroupLookup& groups,
                          bool allow_port_zero, LoadBalancer& out);

}  // namespace remuda::proxy
