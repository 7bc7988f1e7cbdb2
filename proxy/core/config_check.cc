#include "proxy/core/config_check.h"

#include <arpa/inet.h>

#include <cstring>
#include <set>

#include "common/traffic/address.h"
#include "proxy/core/listener_check.h"
#include "proxy/http/chars.h"
#include "proxy/http/target.h"

namespace remuda::proxy {

using std::chrono::milliseconds;

namespace {

constexpr size_t kMaxCheckHostBytes = 255;

// Without the port.
std::string NameOfHost(const std::string& host) {
  const size_t end = host.empty() || host.front() != '[' ? host.find(':') : host.find(']') + 1;
  return host.substr(0, end);
}

}  // namespace

std::optional<IpBytes> ParseIp(const std::string& text) {
  if (text.find('\0') != std::string::npos) return std::nullopt;  // C would not see what follows
  IpBytes bytes{};
  in_addr v4;
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    bytes[10] = bytes[11] = 0xff;
    std::memcpy(&bytes[12], &v4, 4);
    return bytes;
  }
  return inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1 ? std::optional(bytes) : std::nullopt;
}

Fault ParseCidr(std::string_view field, const std::string& text, Cidr& out) {
  const size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  const auto bytes = ParseIp(address);
  const int full = address.find(':') == std::string::npos ? 32 : 128;
  int bits = full;
  if (!bytes ||
      (slash != std::string::npos && !ParseInt(std::string_view(text).substr(slash + 1), bits)) ||
      bits < 0 || bits > full) {
    return std::string(field) + ": " + Quote(text) + " is not an address or CIDR block";
  }
  out.address = *bytes;
  out.prefix_bits = bits + (128 - full);
  return std::nullopt;
}

Fault ParseMatcher(const std::string& text, std::vector<std::pair<int, int>>& out) {
  out.clear();
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view part = http::NextListElement(rest);
    const size_t dash = part.find('-');
    int low = 0, high = 0;
    const bool ok = ParseInt(part.substr(0, dash), low) &&
                    (dash == std::string_view::npos ? (high = low, true)
                                                    : ParseInt(part.substr(dash + 1), high));
    if (!ok || low < 200 || high > 499 || low > high) {
      return "health_check.matcher: " + Quote(text) +
             " is not a list of codes and ranges within 200-499";
    }
    out.emplace_back(low, high);
  }
  return std::nullopt;
}

Fault CompileWebSocketClose(const remuda::v1::TargetGroup& group, TargetGroup& out) {
  switch (group.web_socket_close()) {
    case remuda::v1::WEB_SOCKET_CLOSE_UNSPECIFIED:
      return std::nullopt;
    case remuda::v1::WEB_SOCKET_CLOSE_SPREAD:
      out.web_socket_close = WebSocketClose::kSpread;
      break;
    case remuda::v1::WEB_SOCKET_CLOSE_AT_ONCE:
      out.web_socket_close = WebSocketClose::kAtOnce;
      break;
    default:
      break;
  }
  if (IsBytes(out.protocol)) return std::string("web_socket_close: only for HTTP and HTTPS");
  return std::nullopt;
}

std::string TargetIdOf(const v1::Target& target) {
  return !target.id().empty() ? target.id() : traffic::TargetIdOf(target.address(), target.port());
}

Fault CompileHealthCheck(const remuda::v1::TargetGroup& group, HealthCheckSpec& out) {
  const remuda::v1::HealthCheck& config = group.health_check();
  if (!config.path().empty()) {
    out.path = config.path();
    if (out.path.front() != '/' || out.path.size() > 1024 ||
        !http::AllOf(out.path, http::kTargetChar)) {
      return "health_check.path: " + Quote(out.path) +
             " must start with '/', have at most 1024 characters, none of them a space, '#' or "
             "control";
    }
  }
  if (!config.host().empty()) {
    if (config.host().size() > kMaxCheckHostBytes || !http::IsHost(config.host())) {
      return "health_check.host: " + Quote(config.host()) +
             " is not a name or address with an optional port, of at most " +
             std::to_string(kMaxCheckHostBytes) + " bytes";
    }
    out.host = config.host();
  }
  // By default it speaks what the group speaks.
  switch (config.protocol() != remuda::v1::PROTOCOL_UNSPECIFIED ? config.protocol()
                                                                : group.protocol()) {
    case remuda::v1::PROTOCOL_UNSPECIFIED:
    case remuda::v1::PROTOCOL_HTTP:
      break;
    case remuda::v1::PROTOCOL_HTTPS:
      out.is_tls = true;
      out.server_name = !group.target_tls().server_name().empty() ? group.target_tls().server_name()
                                                                  : NameOfHost(out.host);
      break;
    case remuda::v1::PROTOCOL_TCP:
      out.is_tcp = true;
      break;
    default:
      if (config.protocol() != remuda::v1::PROTOCOL_UNSPECIFIED)
        return std::string("health_check.protocol: only HTTP, HTTPS and TCP are served");
      out.is_tcp = true;
      break;
  }
  if (out.is_tcp && !out.host.empty())
    return std::string("health_check.host: only for HTTP and HTTPS checks");
  if (Fault f = CheckRange("health_check.port", config.port(), 0, 65535)) return f;
  out.port = static_cast<uint16_t>(config.port());
  if (Fault f = TakeDuration(config.has_interval(), config.interval(),
                             {"health_check.interval", milliseconds(100), milliseconds(300000)},
                             out.interval)) {
    return f;
  }
  if (Fault f = TakeDuration(config.has_timeout(), config.timeout(),
                             {"health_check.timeout", milliseconds(50), milliseconds(120000)},
                             out.timeout)) {
    return f;
  }
  if (!config.has_timeout()) out.timeout = std::min(out.timeout, out.interval);
  if (config.healthy_threshold() != 0) {
    if (Fault f = CheckRange("health_check.healthy_threshold", config.healthy_threshold(), 1, 10))
      return f;
    out.healthy_threshold = config.healthy_threshold();
  }
  if (config.unhealthy_threshold() != 0) {
    if (Fault f =
            CheckRange("health_check.unhealthy_threshold", config.unhealthy_threshold(), 1, 10))
      return f;
    out.unhealthy_threshold = config.unhealthy_threshold();
  }
  if (config.matcher().empty()) return std::nullopt;
  out.matcher_text = config.matcher();
  return ParseMatcher(config.matcher(), out.matcher);
}

namespace {

Fault TakePathRules(const remuda::v1::PathNormalization& config, http::PathRules& out) {
  using Config = remuda::v1::PathNormalization;
  using Rules = http::PathRules;
  out.merges_slashes = !config.has_merge_slashes() || config.merge_slashes();
  switch (config.escaped_slashes()) {
    case Config::ESCAPED_SLASHES_UNSPECIFIED:
    case Config::ESCAPED_SLASHES_REFUSE:
      out.escaped_slashes = Rules::EscapedSlashes::kRefuse;
      break;
    case Config::ESCAPED_SLASHES_KEEP:
      out.escaped_slashes = Rules::EscapedSlashes::kKeep;
      break;
    case Config::ESCAPED_SLASHES_DECODE:
      out.escaped_slashes = Rules::EscapedSlashes::kDecode;
      break;
    default:
      return "path_normalization.escaped_slashes: " + std::to_string(config.escaped_slashes()) +
             " is not known";
  }
  switch (config.path_parameters()) {
    case Config::PATH_PARAMETERS_UNSPECIFIED:
    case Config::PATH_PARAMETERS_REFUSE_HIDING:
      out.parameters = Rules::Parameters::kRefuseHiding;
      break;
    case Config::PATH_PARAMETERS_REFUSE:
      out.parameters = Rules::Parameters::kRefuse;
      break;
    case Config::PATH_PARAMETERS_STRIP:
      out.parameters = Rules::Parameters::kStrip;
      break;
    case Config::PATH_PARAMETERS_KEEP:
      out.parameters = Rules::Parameters::kKeep;
      break;
    default:
      return "path_normalization.path_parameters: " + std::to_string(config.path_parameters()) +
             " is not known";
  }
  return std::nullopt;
}

}  // namespace

Fault CompileLoadBalancer(const remuda::v1::LoadBalancer& config, const GroupLookup& groups,
                          bool allow_port_zero, LoadBalancer& out) {
  if (Fault f = TakeDuration(config.has_idle_timeout(), config.idle_timeout(),
                             {"idle_timeout", milliseconds(1000), milliseconds(4000000)},
                             out.idle_timeout)) {
    return f;
  }
  if (Fault f = TakeDuration(config.has_client_keep_alive(), config.client_keep_alive(),
                             {"client_keep_alive", milliseconds(1000), milliseconds(86400000)},
                             out.client_keep_alive)) {
    return f;
  }
  out.headers.with_client_port = config.x_forwarded_for_client_port();
  out.headers.drops_invalid_names = config.drop_invalid_header_fields();
  out.headers.makes_traceparent = config.add_traceparent();
  switch (config.desync_mitigation_mode()) {
    case remuda::v1::DESYNC_MITIGATION_MODE_DEFENSIVE:
      out.desync_mode = http::DesyncMode::kDefensive;
      break;
    case remuda::v1::DESYNC_MITIGATION_MODE_MONITOR:
      out.desync_mode = http::DesyncMode::kMonitor;
      break;
    default:
      out.desync_mode = http::DesyncMode::kStrictest;
      break;
  }
  switch (config.x_forwarded_for_mode()) {
    case remuda::v1::X_FORWARDED_FOR_MODE_PRESERVE:
      out.headers.forwarded_for = http::ForwardedForMode::kPreserve;
      break;
    case remuda::v1::X_FORWARDED_FOR_MODE_REMOVE:
      out.headers.forwarded_for = http::ForwardedForMode::kRemove;
      break;
    default:
      out.headers.forwarded_for = http::ForwardedForMode::kAppend;
      break;
  }
  if (Fault f = TakePathRules(config.path_normalization(), out.paths)) return f;
  if (Fault f = CheckRange("listeners", config.listeners_size(), 1, kMaxListeners)) return f;
  std::set<int> ports;
  for (const auto& listener_config : config.listeners()) {
    ListenerSpec& listener = out.listeners.emplace_back();
    const std::string where = "listener " + std::to_string(listener_config.port()) + ": ";
    if (Fault f = CheckRange("port", listener_config.port(), allow_port_zero ? 0 : 1, 65535)) {
      return Prefix(where, f);
    }
    if (listener_config.port() != 0 && !ports.insert(listener_config.port()).second) {
      return where + "port: it is used twice";
    }
    if (Fault f = CompileProtocol(listener_config, listener)) return Prefix(where, f);
    if (!listener_config.address().empty() && !ParseIp(listener_config.address())) {
      return where + "address: " + Quote(listener_config.address()) +
             " is not an IPv4 or IPv6 address";
    }
    listener.address = listener_config.address();
    listener.port = static_cast<uint16_t>(listener_config.port());
    if (Fault f = CompileRules(listener_config, groups, listener)) return Prefix(where, f);
  }
  return std::nullopt;
}

}  // namespace remuda::proxy
