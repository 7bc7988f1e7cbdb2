#include "common/traffic/address.h"

#include <arpa/inet.h>

#include <charconv>

namespace remuda::traffic {

std::string CanonicalAddress(const std::string& text) {
  if (text.find('\0') != std::string::npos) return "";  // C would not see what follows
  char out[INET6_ADDRSTRLEN];
  in_addr v4;
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1)
    return inet_ntop(AF_INET, &v4, out, sizeof out) == nullptr ? "" : out;
  in6_addr v6;
  if (inet_pton(AF_INET6, text.c_str(), &v6) != 1) return "";
  const char* canonical = IN6_IS_ADDR_V4MAPPED(&v6)
                              ? inet_ntop(AF_INET, &v6.s6_addr[12], out, sizeof out)
                              : inet_ntop(AF_INET6, &v6, out, sizeof out);
  return canonical == nullptr ? "" : canonical;
}

std::string EndpointText(std::string_view address, int port) {
  const bool is_v6 = address.find(':') != std::string_view::npos;
  std::string out(is_v6 ? "[" : "");
  out.append(address).append(is_v6 ? "]:" : ":");
  return out + std::to_string(port);
}

std::string TargetIdOf(const std::string& address, int port) {
  const std::string canonical = CanonicalAddress(address);
  return EndpointText(canonical.empty() ? address : canonical, port);
}

bool ParseEndpoint(std::string_view text, std::string& address, uint16_t& port) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  std::string_view host = text.substr(0, colon);
  const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (is_bracketed) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of(":[]") != std::string_view::npos) {
    return false;
  }
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, port);
  if (error != std::errc() || rest != end) return false;
  address = std::string(host);
  return true;
}

}  // namespace remuda::traffic
