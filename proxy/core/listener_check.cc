#include "proxy/core/listener_check.h"

#include <algorithm>
#include <map>

#include "common/traffic/listen_address.h"
#include "proxy/core/config_check.h"
#include "remuda/v1/load_balancer.pb.h"
#include "remuda/v1/target_group.pb.h"

namespace remuda::proxy {
namespace {

using std::chrono::milliseconds;

Fault ProtocolOf(remuda::v1::Protocol protocol, ListenerProtocol& out) {
  switch (protocol) {
    case remuda::v1::PROTOCOL_UNSPECIFIED:
    case remuda::v1::PROTOCOL_HTTP:
      out = ListenerProtocol::kHttp;
      return std::nullopt;
    case remuda::v1::PROTOCOL_HTTPS:
      out = ListenerProtocol::kHttps;
      return std::nullopt;
    case remuda::v1::PROTOCOL_TCP:
      out = ListenerProtocol::kTcp;
      return std::nullopt;
    case remuda::v1::PROTOCOL_TLS:
      out = ListenerProtocol::kTls;
      return std::nullopt;
    default:
      return "protocol: " + std::to_string(static_cast<int>(protocol)) +
             " is not HTTP, HTTPS, TCP or TLS";
  }
}

Fault VersionOf(remuda::v1::ProxyProtocolVersion version, http::ProxyVersion& out) {
  switch (version) {
    case remuda::v1::PROXY_PROTOCOL_VERSION_UNSPECIFIED:
      out = http::ProxyVersion::kNone;
      return std::nullopt;
    case remuda::v1::PROXY_PROTOCOL_VERSION_1:
      out = http::ProxyVersion::k1;
      return std::nullopt;
    case remuda::v1::PROXY_PROTOCOL_VERSION_2:
      out = http::ProxyVersion::k2;
      return std::nullopt;
    default:
      return "proxy_protocol: " + std::to_string(static_cast<int>(version)) +
             " is not a version (1 or 2)";
  }
}

std::string_view NameOf(ListenerProtocol protocol) {
  switch (protocol) {
    case ListenerProtocol::kHttp:
      return "HTTP";
    case ListenerProtocol::kHttps:
      return "HTTPS";
    case ListenerProtocol::kTcp:
      return "TCP";
    case ListenerProtocol::kTls:
      return "TLS";
  }
  return "";
}

Fault CheckBytesListener(const remuda::v1::Listener& config, const std::string& protocol) {
  if (config.rules_size() > 0)
    return "rules: a " + protocol + " listener has none, there is no request to match";
  if (!config.default_action().has_forward())
    return "default_action: a " + protocol + " listener can only forward";
  return std::nullopt;
}

// Whether each group that the listener forwards to is in the table, and suits it.
Fault CheckForwards(const ListenerSpec& listener, const RoutingTable& table) {
  for (const Rule& rule : listener.rules) {
    const auto* forward = std::get_if<ForwardAction>(&rule.action);
    if (forward == nullptr) continue;
    for (const auto& choice : forward->groups) {
      const auto it = table.groups.find(choice.group->id());
      if (it == table.groups.end() || it->second->state != choice.group)
        return "forward: there is no target group '" + choice.group->id() + "'";
      if (Fault f = CheckPair(listener, *it->second))
        return Prefix("listener " + std::to_string(listener.port) + ": ", f);
    }
  }
  return std::nullopt;
}

}  // namespace

Fault CompileProtocol(const remuda::v1::Listener& config, ListenerSpec& out) {
  if (Fault f = ProtocolOf(config.protocol(), out.protocol)) return f;
  const std::string name(NameOf(out.protocol));
  if (IsBytes(out.protocol)) {
    if (Fault f = CheckBytesListener(config, name)) return f;
  } else if (config.has_tcp_idle_timeout()) {
    return "tcp_idle_timeout: is for TCP and TLS listeners, this one is " + name;
  }
  if (Fault f = TakeDuration(config.has_tcp_idle_timeout(), config.tcp_idle_timeout(),
                             {"tcp_idle_timeout", milliseconds(60000), milliseconds(6000000)},
                             out.tcp_idle_timeout)) {
    return f;
  }
  if (Fault f = CheckRange("proxy_protocol_sources", config.proxy_protocol_sources_size(), 0,
                           kMaxProxySources)) {
    return f;
  }
  for (const std::string& text : config.proxy_protocol_sources()) {
    if (Fault f =
            ParseCidr("proxy_protocol_sources", text, out.proxy_protocol_sources.emplace_back()))
      return f;
  }
  return std::nullopt;
}

Fault CompileProtocol(const remuda::v1::TargetGroup& config, TargetGroup& out) {
  if (Fault f = ProtocolOf(config.protocol(), out.protocol)) return f;
  if (Fault f = VersionOf(config.proxy_protocol(), out.proxy_protocol)) return f;
  char greeting[http::kMaxProxyLineBytes];
  out.health_check.greeting.assign(greeting,
                                   http::WriteProxyHeader(out.proxy_protocol, {}, greeting));
  return std::nullopt;
}

Fault CheckPair(const ListenerSpec& listener, const TargetGroup& group) {
  if (IsBytes(listener.protocol) == IsBytes(group.protocol)) return std::nullopt;
  return "forward: a listener of " + std::string(NameOf(listener.protocol)) +
         " cannot forward to target group " + Quote(group.id) + " of " +
         std::string(NameOf(group.protocol));
}

std::optional<ConfigError> CheckListeners(const RoutingTable& table) {
  struct Taken {
    const std::string& address;
    const std::string& load_balancer;
  };
  std::multimap<uint16_t, Taken> ports;
  for (const auto& [id, balancer] : table.load_balancers) {
    const std::string name = "loadBalancers/" + id;
    for (const ListenerSpec& listener : balancer->listeners) {
      const auto [first, last] = ports.equal_range(listener.port);
      const auto taken = std::find_if(first, last, [&](const auto& other) {
        return traffic::AddressesCollide(other.second.address, listener.address);
      });
      if (taken != last) {
        return ConfigError{name, "listener " + std::to_string(listener.port) +
                                     ": port: it belongs to loadBalancers/" +
                                     taken->second.load_balancer};
      }
      if (listener.port != 0) ports.emplace(listener.port, Taken{listener.address, id});
      if (Fault f = CheckForwards(listener, table)) return ConfigError{name, *f};
    }
  }
  return std::nullopt;
}

}  // namespace remuda::proxy
