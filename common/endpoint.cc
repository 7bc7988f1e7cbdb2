#include "common/endpoint.h"

#include <arpa/inet.h>

#include <charconv>
#include <system_error>
#include <utility>

namespace remuda {
namespace {

enum class AddressKind { kNone, kLoopback, kOther };

AddressKind KindOf(const std::string& address) {
  in_addr v4{};
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1)
    return (ntohl(v4.s_addr) >> 24) == 127 ? AddressKind::kLoopback : AddressKind::kOther;
  in6_addr v6{};
  if (inet_pton(AF_INET6, address.c_str(), &v6) == 1)
    return IN6_IS_ADDR_LOOPBACK(&v6) ? AddressKind::kLoopback : AddressKind::kOther;
  return AddressKind::kNone;
}

// Without its brackets; empty if there are none.
std::string InBrackets(std::string_view text) {
  if (text.size() <= 2 || text.front() != '[' || text.back() != ']') return "";
  return std::string(text.substr(1, text.size() - 2));
}

}  // namespace

std::string ParseEndpoint(const std::string& text, Endpoint& endpoint) {
  const std::string wrong = "\"" + text + "\" is not ADDRESS:PORT, with a numeric address";
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return wrong;
  std::string address = text.substr(0, colon);
  if (address == "localhost") address = "127.0.0.1";
  const char* begin = text.data() + colon + 1;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(begin, end, endpoint.port);
  if (error != std::errc() || rest != end) return wrong;
  const std::string inside = InBrackets(address);
  // Brackets around an IPv6 address, and around nothing else: its last part looks like a port.
  if ((address.find(':') != std::string::npos) == inside.empty()) return wrong;
  if (!inside.empty()) address = inside;
  const AddressKind kind = KindOf(address);
  if (kind == AddressKind::kNone) return wrong;
  endpoint.is_loopback = kind == AddressKind::kLoopback;
  endpoint.address = std::move(address);
  return "";
}

std::string CheckAdminEndpoint(const std::string& text, bool is_open, Endpoint& endpoint) {
  if (std::string wrong = ParseEndpoint(text, endpoint); !wrong.empty()) return wrong;
  if (endpoint.is_loopback || is_open) return "";
  return text +
         " is not a loopback address. The admin pages have neither authentication nor TLS: whoever "
         "reaches the port reads them. Give --open-admin if that is what you want";
}

bool IsOnThisMachine(std::string_view target) {
  if (target.substr(0, 5) == "unix:") return true;
  for (const std::string_view scheme : {"dns:///", "dns:", "ipv4:", "ipv6:"}) {
    if (target.substr(0, scheme.size()) != scheme) continue;
    target.remove_prefix(scheme.size());
    break;
  }
  std::string host(target);
  // A port, if there is one; a bare IPv6 address has more colons than that.
  const size_t colon = host.rfind(':');
  if (colon != std::string::npos && (host.find(':') == colon || host[colon - 1] == ']'))
    host.resize(colon);
  if (const std::string inside = InBrackets(host); !inside.empty()) host = inside;
  return host == "localhost" || KindOf(host) == AddressKind::kLoopback;
}

}  // namespace remuda
