// What a target group may say.
#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <charconv>

#include "common/ids.h"
#include "controller/core/door/validate_resources.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"
#include "controller/core/model/request_hold.h"

namespace remuda::core {
namespace {

constexpr int kMinPassCode = 200;
constexpr int kMaxPassCode = 499;

// A status code within 200-499; 0 if it is not.
int PassCode(std::string_view text) {
  int code = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), code);
  const bool whole = error == std::errc() && end == text.data() + text.size() && text.size() == 3;
  return whole && code >= kMinPassCode && code <= kMaxPassCode ? code : 0;
}

// `200,202,300-399`.
bool IsMatcher(std::string_view text) {
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const size_t dash = part.find('-');
    const int low = PassCode(part.substr(0, dash));
    const int high = dash == std::string_view::npos ? low : PassCode(part.substr(dash + 1));
    if (low == 0 || high < low) return false;
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

// A request target in origin form (RFC 9112 section 3.2.1): visible ASCII, no fragment.
bool IsCheckPath(std::string_view path) {
  return !path.empty() && path.front() == '/' && path.size() <= limits::kHealthCheckPathBytes &&
         std::all_of(path.begin(), path.end(), [](char c) {
           return c > 0x20 && c < 0x7f && c != '#' && c != '"' && c != '<' && c != '>' &&
                  c != '\\' && c != '^' && c != '`' && c != '{' && c != '|' && c != '}';
         });
}

bool IsPort(std::string_view text) {
  const auto is_digit = [](unsigned char c) { return absl::ascii_isdigit(c); };
  if (text.empty() || text.size() > 5 || !std::all_of(text.begin(), text.end(), is_digit)) {
    return false;
  }
  int port = 0;
  for (const char c : text) port = 10 * port + (c - '0');
  return port >= 1 && port <= limits::kMaxPort;
}

// What a Host field may say (RFC 9110 section 7.2): `app.example.com:8080`, `[::1]:80`.
bool IsCheckHost(std::string_view host) {
  if (host.size() > limits::kHealthCheckHostBytes) return false;
  const size_t bracket = host.front() == '[' ? host.find(']') : 0;
  if (bracket == std::string_view::npos) return false;
  const size_t colon = host.find(':', bracket);
  const std::string_view name = host.substr(0, colon);
  const std::string_view port = colon == std::string_view::npos ? "" : host.substr(colon + 1);
  const auto is_in_name = [&](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_' ||
           (bracket > 0 && (c == ':' || c == '[' || c == ']'));
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), is_in_name) &&
         (bracket == 0 ||
          (bracket + 1 == name.size() && name.find(':') != std::string_view::npos)) &&
         (colon == std::string_view::npos || IsPort(port));
}

void CheckHealthCheck(Violations& out, const FieldPath& at, const v1::HealthCheck& value) {
  if (!IsCheckPath(value.path())) {
    out.Add(at / "path", absl::StrCat(Quoted(value.path()), " must start with / and have at most ",
                                      limits::kHealthCheckPathBytes,
                                      " characters that a URL's path and query may have"));
  }
  CheckRange(out, at / "port", value.port(), 0, limits::kMaxPort);
  CheckDuration(out, at / "interval", value.interval(), limits::kMinHealthInterval,
                limits::kMaxHealthInterval);
  CheckDuration(out, at / "timeout", value.timeout(), limits::kMinHealthTimeout,
                limits::kMaxHealthTimeout);
  CheckRange(out, at / "healthy_threshold", value.healthy_threshold(), 1, limits::kMaxThreshold);
  CheckRange(out, at / "unhealthy_threshold", value.unhealthy_threshold(), 1,
             limits::kMaxThreshold);
  if (value.matcher().size() > limits::kMatcherBytes || !IsMatcher(value.matcher())) {
    out.Add(at / "matcher",
            absl::StrCat(Quoted(value.matcher()),
                         " must be codes and ranges within 200-499, as 200,202,300-399, at most ",
                         limits::kMatcherBytes, " bytes"));
  }
  if (!value.host().empty() && !IsCheckHost(value.host())) {
    out.Add(at / "host", absl::StrCat(Quoted(value.host()),
                                      " must be a name or an address with an optional port, at "
                                      "most ",
                                      limits::kHealthCheckHostBytes, " bytes"));
  }
  if (!value.host().empty() && value.protocol() == v1::PROTOCOL_TCP)
    out.Add(at / "host", absl::StrCat(Quoted(value.host()), " is for HTTP and HTTPS checks only"));
  CheckKnown(out, at / "protocol", value.protocol(), "a protocol");
  if (value.protocol() == v1::PROTOCOL_TLS) {
    out.Add(at / "protocol", "must be HTTP, HTTPS or TCP");
  }
}

// The name of a port, or its number.
bool IsKubernetesPort(const std::string& text) {
  const bool is_number =
      std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
  return is_number ? IsPort(text) : IsId(text);
}

void CheckSource(Violations& out, const FieldPath& at, const v1::TargetSource& value) {
  if (!value.has_kubernetes()) return;
  const FieldPath in = at / "kubernetes";
  const v1::KubernetesTargets& of = value.kubernetes();
  for (const auto& [field, text] :
       {std::pair{"namespace", &of.namespace_()}, std::pair{"service", &of.service()}}) {
    if (!IsId(*text)) out.Add(in / field, absl::StrCat(Quoted(*text), " ", limits::kIdRule));
  }
  if (!of.port().empty() && !IsKubernetesPort(of.port())) {
    out.Add(in / "port", absl::StrCat(Quoted(of.port()), " must be a number within 1-",
                                      limits::kMaxPort, " or a port's name: it ", limits::kIdRule));
  }
}

void CheckRequestHold(Violations& out, const FieldPath& at, bool is_http,
                      const v1::TargetGroup& value) {
  if (!is_http) out.Add(at, "is for HTTP and HTTPS groups only");
  const v1::RequestHold& hold = value.request_hold();
  CheckRange(out, at / "max_requests", hold.max_requests(), 1, kMaxHeldRequests);
  CheckRange(out, at / "max_bytes", hold.max_bytes(), 0, kMaxHeldBytes);
  CheckDuration(out, at / "timeout", hold.timeout(), kMinHoldTimeout, kMaxHoldTimeout);
}

}  // namespace

void Check(Violations& out, const FieldPath& at, const References& references,
           v1::TargetGroup& value) {
  CheckKnown(out, at / "protocol", value.protocol(), "a protocol");
  CheckHealthCheck(out, at / "health_check", value.health_check());
  if (CheckKnown(out, at / "web_socket_close", value.web_socket_close()) &&
      value.web_socket_close() != v1::WEB_SOCKET_CLOSE_UNSPECIFIED &&
      (value.protocol() == v1::PROTOCOL_TCP || value.protocol() == v1::PROTOCOL_TLS)) {
    out.Add(at / "web_socket_close", absl::StrCat(v1::WebSocketClose_Name(value.web_socket_close()),
                                                  " is for HTTP and HTTPS only"));
  }
  CheckDuration(out, at / "deregistration_delay", value.deregistration_delay(),
                absl::ZeroDuration(), limits::kMaxDeregistrationDelay);
  CheckBalancing(out, at, references, value);
  const bool is_http = value.protocol() != v1::PROTOCOL_TCP && value.protocol() != v1::PROTOCOL_TLS;
  if (value.has_response_tolerance() && !is_http)
    out.Add(at / "response_tolerance", "is for HTTP and HTTPS groups only");
  if (value.has_request_hold()) CheckRequestHold(out, at / "request_hold", is_http, value);
  CheckSource(out, at / "targets", value.targets());
  CheckLabels(out, at / "labels", value.labels());
}

}  // namespace remuda::core
