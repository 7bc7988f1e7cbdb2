#include "controller/identity/identity_options.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstdint>

#include "common/endpoint.h"
#include "common/tls/dns_name.h"

namespace remuda {
namespace {

constexpr size_t kMaxAdvertised = 16;

bool IsAddressOf(int family, const std::string& text) {
  in6_addr room{};
  return inet_pton(family, text.c_str(), &room) == 1;
}

bool IsPort(const std::string& text) {
  uint16_t port = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && rest == text.data() + text.size() && port != 0;
}

}  // namespace

bool ParseAdvertised(const std::string& text, AdvertisedAddress& out) {
  const bool has_brackets = text.starts_with('[');
  const size_t close = has_brackets ? text.find(']') : std::string::npos;
  if (has_brackets && close == std::string::npos) return false;
  // A bare IPv6 address has no port.
  if (!has_brackets && IsAddressOf(AF_INET6, text)) {
    out = {.host = text, .port = ""};
    return true;
  }
  const size_t end = has_brackets ? close + 1 : std::min(text.find(':'), text.size());
  const std::string host = has_brackets ? text.substr(1, close - 1) : text.substr(0, end);
  std::string port;
  if (end < text.size()) {
    if (text[end] != ':') return false;
    port = text.substr(end + 1);
    if (!IsPort(port)) return false;
  }
  std::string normal;
  const bool is_host =
      has_brackets ? IsAddressOf(AF_INET6, host)
                   : IsAddressOf(AF_INET, host) || tls::NormalizeDnsName(host, false, normal);
  if (!is_host) return false;
  out = {.host = host, .port = port};
  return true;
}

std::string HostPort(const std::string& host, const std::string& port) {
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
}

std::string CheckIdentityOptions(const IdentityOptions& options) {
  if (options.advertise.size() > kMaxAdvertised)
    return "--advertise: more than " + std::to_string(kMaxAdvertised);
  for (const std::string& text : options.advertise) {
    AdvertisedAddress address;
    if (!ParseAdvertised(text, address))
      return "--advertise: \"" + text + "\" is not HOST or HOST:PORT";
  }
  Endpoint join;
  if (std::string error = ParseEndpoint(options.join_listen, join); !error.empty())
    return "--join-listen: " + error;
  if (options.ca_certificate.empty() != options.ca_key.empty())
    return "--ca-cert and --ca-key: both or none";
  if (options.tls_certificate.empty() != options.tls_key.empty())
    return "--tls-cert and --tls-key: both or none";
  if (options.is_external() && !options.ca_certificate.empty())
    return "--tls-cert: its certificate is issued elsewhere, or here with --ca-cert: not both";
  if (options.is_external() && options.ca_bundle.empty())
    return "--ca-bundle: must be given with --tls-cert: whom to trust";
  if (options.is_external() && options.new_admin_token)
    return "--new-admin-token: nothing is issued here with --tls-cert";
  if (options.certificate_lifetime < kLeastLifetime || options.certificate_lifetime > kMostLifetime)
    return "--certificate-lifetime: " + absl::FormatDuration(options.certificate_lifetime) +
           " is not within 15s and 720h";
  return "";
}

}  // namespace remuda
