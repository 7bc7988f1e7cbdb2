#include "controller/core/analysis/http_url.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <charconv>

#include "controller/core/model/limits.h"

namespace remuda::core {
namespace {

constexpr std::string_view kScheme = "http://";
constexpr int kDefaultPort = 80;

bool IsAlnum(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }

// A name or an IPv4 address.
bool IsHostName(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return IsAlnum(c) || c == '-' || c == '.' || c == '_';
  });
}

// An IPv6 address, as far as its characters tell.
bool IsIpv6Like(std::string_view text) {
  return text.find(':') != std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isxdigit(static_cast<unsigned char>(c)) || c == ':' || c == '.';
         });
}

bool ParsePort(std::string_view text, int& port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return !text.empty() && error == std::errc() && end == text.data() + text.size() && port >= 1 &&
         port <= limits::kMaxPort;
}

// What a request's target may hold (RFC 3986 sections 3.3 and 3.4).
bool IsTarget(std::string_view text) {
  constexpr std::string_view kMarks = "-._~!$&'()*+,;=:@/?%[]";
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return IsAlnum(c) || kMarks.find(c) != std::string_view::npos;
  });
}

}  // namespace

std::string HttpUrl::authority() const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return absl::StrCat(is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "",
                      port == kDefaultPort ? "" : absl::StrCat(":", port));
}

std::string ParseHttpUrl(std::string_view text, HttpUrl& url) {
  constexpr char kForm[] = "must be http://HOST[:PORT][/PATH]";
  if (text.starts_with("https://")) {
    return "must be http://: this version asks over plain HTTP only; put a proxy beside the "
           "controller that speaks TLS";
  }
  if (!text.starts_with(kScheme)) return kForm;
  if (text.size() > limits::kUrlBytes) {
    return absl::StrCat("must have at most ", limits::kUrlBytes, " bytes");
  }
  text.remove_prefix(kScheme.size());
  const size_t authority_end = std::min(text.find_first_of("/?#"), text.size());
  std::string_view host = text.substr(0, authority_end);
  const std::string_view target = text.substr(authority_end);
  if (host.find('@') != std::string_view::npos) return "must not hold a user or a password";
  url.port = kDefaultPort;
  const size_t bracket = host.starts_with('[') ? host.find(']') : 0;
  if (bracket == std::string_view::npos) return kForm;
  if (const size_t colon = host.find(':', bracket); colon != std::string_view::npos) {
    if (!ParsePort(host.substr(colon + 1), url.port)) return "must have a port within 1-65535";
    host = host.substr(0, colon);
  }
  if (bracket > 0) {
    if (host.size() != bracket + 1 || !IsIpv6Like(host.substr(1, bracket - 1))) return kForm;
    host = host.substr(1, bracket - 1);
  } else if (!IsHostName(host)) {
    return kForm;
  }
  if (!IsTarget(target)) return "must have only characters that a URL's path and query may have";
  url.host = std::string(host);
  url.target = absl::StrCat(target.starts_with('/') ? "" : "/", std::string(target));
  return "";
}

}  // namespace remuda::core
