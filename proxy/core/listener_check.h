// What a listener speaks, and with which target groups that goes together. Used by the config check
// and the compiler alone.
#pragma once

#include <optional>

#include "proxy/core/config_fwd.h"
#include "proxy/core/fault.h"
#include "proxy/core/routing_table.h"

namespace remuda::proxy {

inline constexpr int kMaxProxySources = 50;

// Sets out.protocol, and what only some protocols have: proxy_protocol_sources, tcp_idle_timeout.
// TCP and TLS listeners can only forward, by their default action.
Fault CompileProtocol(const remuda::v1::Listener& config, ListenerSpec& out);

// Sets out.protocol and out.proxy_protocol, and what they say of out.health_check.
Fault CompileProtocol(const remuda::v1::TargetGroup& config, TargetGroup& out);

// TCP and TLS listeners forward to TCP and TLS groups, HTTP and HTTPS ones to HTTP and HTTPS
// groups.
Fault CheckPair(const ListenerSpec& listener, const TargetGroup& group);

// Of a whole table: a port of an address belongs to one listener, and every group that one forwards
// to is there and goes together with it.
std::optional<ConfigError> CheckListeners(const RoutingTable& table);

}  // namespace remuda::proxy
