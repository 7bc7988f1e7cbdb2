#include "controller/kubernetes/api_address.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "common/endpoint.h"

namespace remuda {
namespace {

constexpr char kServiceAccount[] = "/var/run/secrets/kubernetes.io/serviceaccount/";
constexpr int kHttpsPort = 443;
constexpr int kHttpPort = 80;
constexpr int kMaxPort = 65'535;
constexpr size_t kMaxUrlBytes = 2048;

// "HOST", "HOST:PORT", "[V6]:PORT".
bool ParseAuthority(std::string_view text, ApiAddress& out) {
  const size_t bracket = text.starts_with('[') ? text.find(']') : 0;
  if (bracket == std::string_view::npos) return false;
  const size_t colon = text.find(':', bracket);
  std::string_view host = text.substr(0, colon);
  if (bracket > 0) host = host.size() == bracket + 1 ? host.substr(1, bracket - 1) : "";
  if (colon != std::string_view::npos) {
    const std::string port(text.substr(colon + 1));
    if (!absl::SimpleAtoi(port, &out.port) || out.port < 1 || out.port > kMaxPort) return false;
  }
  out.host = host;
  return !host.empty() && std::all_of(host.begin(), host.end(), [bracket](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '.' || (bracket > 0 && c == ':');
  });
}

std::string ParseUrl(const std::string& url, ApiAddress& out) {
  std::string_view rest = url;
  const auto wrong = [&url](const char* rule) {
    return absl::StrCat("--kubernetes-api: \"", url.substr(0, kMaxUrlBytes), "\" ", rule);
  };
  if (url.size() > kMaxUrlBytes) return wrong("is longer than 2048 bytes");
  out.is_tls = rest.starts_with("https://");
  if (!out.is_tls && !rest.starts_with("http://"))
    return wrong("must be https://HOST[:PORT][/PATH], or http:// on this machine");
  rest.remove_prefix(out.is_tls ? 8 : 7);
  out.port = out.is_tls ? kHttpsPort : kHttpPort;
  const size_t slash = rest.find('/');
  if (!ParseAuthority(rest.substr(0, slash), out))
    return wrong("must be https://HOST[:PORT][/PATH], or http:// on this machine");
  if (slash != std::string_view::npos) out.path = rest.substr(slash);
  while (!out.path.empty() && out.path.back() == '/') out.path.pop_back();
  if (std::any_of(out.path.begin(), out.path.end(),
                  [](char c) { return c <= ' ' || c > '~' || c == '?' || c == '#'; }))
    return wrong("has a path with other than visible ASCII, or with ? or #");
  if (!out.is_tls && !IsOnThisMachine(out.authority()))
    return wrong("is another machine and there is no TLS: whoever is on the way reads the token");
  return "";
}

}  // namespace

std::string ApiAddress::authority() const {
  const bool is_v6 = host.find(':') != std::string::npos;
  return absl::StrCat(is_v6 ? "[" : "", host, is_v6 ? "]" : "", ":", port);
}

std::string FindApi(const KubernetesFlags& flags, const ReadVariable& read_variable,
                    ApiAddress& out) {
  out = {};
  out.token_file = flags.token_file;
  out.ca_file = flags.ca_file;
  if (!flags.api.empty()) {
    if (std::string wrong = ParseUrl(flags.api, out); !wrong.empty()) return wrong;
    if (!out.is_tls && !flags.ca_file.empty())
      return "--kubernetes-ca-file: there is no TLS with http://";
    return "";
  }
  out.host = read_variable("KUBERNETES_SERVICE_HOST");
  const std::string port = read_variable("KUBERNETES_SERVICE_PORT");
  if (out.host.empty()) {
    for (const auto& [flag, value] : {std::pair{"--kubernetes-token-file", &flags.token_file},
                                      std::pair{"--kubernetes-ca-file", &flags.ca_file}}) {
      if (!value->empty())
        return absl::StrCat(flag, ": there is no Kubernetes: give --kubernetes-api");
    }
    out.missing =
        "this controller has no access to Kubernetes: it is no pod (KUBERNETES_SERVICE_HOST is "
        "not set), and --kubernetes-api was not given";
    return "";
  }
  if (!absl::SimpleAtoi(port.empty() ? "443" : port, &out.port) || out.port < 1 ||
      out.port > kMaxPort) {
    return absl::StrCat("KUBERNETES_SERVICE_PORT: \"", port, "\" is not within 1-65535");
  }
  if (out.token_file.empty()) out.token_file = absl::StrCat(kServiceAccount, "token");
  if (out.ca_file.empty()) out.ca_file = absl::StrCat(kServiceAccount, "ca.crt");
  return "";
}

std::string ReadEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace remuda
