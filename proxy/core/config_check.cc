#include "proxy/core/config_check.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>
#include <set>

#include "proxy/http/chars.h"

namespace remuda::proxy {
namespace {

using std::chrono::milliseconds;

std::string Quote(std::string_view text) { return "'" + std::string(text.substr(0, 128)) + "'"; }

std::string LowerCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = http::Lower(c);
  return out;
}

bool IsId(std::string_view id) {
  if (id.empty() || id.size() > 63 || id.front() == '-' || id.back() == '-') return false;
  for (char c : id) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
  }
  return true;
}

bool ParseInt(std::string_view text, int& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

// What goes into a header of ours must be safe there: no control characters.
Fault CheckText(std::string_view field, std::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) {
    return std::string(field) + ": " + std::to_string(text.size()) + " bytes, at most " +
           std::to_string(max_bytes);
  }
  if (!http::AllOf(text, http::kFieldValueChar)) return std::string(field) + ": control characters";
  return std::nullopt;
}

Fault CheckPatterns(std::string_view field,
                    const google::protobuf::RepeatedPtrField<std::string>& values) {
  for (const std::string& value : values) {
    if (value.empty()) return std::string(field) + ": an empty value";
    if (Fault fault = CheckText(field, value, kMaxPatternBytes)) return fault;
  }
  return std::nullopt;
}

Fault ParseCidr(const std::string& text, Cidr& out) {
  const size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  const auto bytes = ParseIp(address);
  const int full = address.find(':') == std::string::npos ? 32 : 128;
  int bits = full;
  if (!bytes ||
      (slash != std::string::npos && !ParseInt(std::string_view(text).substr(slash + 1), bits)) ||
      bits < 0 || bits > full) {
    return "source_ip: " + Quote(text) + " is not an address or CIDR block";
  }
  out.address = *bytes;
  out.prefix_bits = bits + (128 - full);
  return std::nullopt;
}

Fault CompileCondition(const remuda::v1::Condition& config, Condition& out) {
  const int set = !config.host_header().empty() + !config.path_pattern().empty() +
                  config.has_http_header() + !config.http_request_method().empty() +
                  !config.query_string().empty() + !config.source_ip().empty();
  if (set != 1) return "exactly one kind of condition must be set, not " + std::to_string(set);
  int count = 0;
  const auto take = [&](std::string_view field, const auto& values, Condition::Kind kind,
                        bool lower) {
    out.kind = kind;
    count = values.size();
    for (const std::string& value : values) out.values.push_back(lower ? LowerCase(value) : value);
    return CheckPatterns(field, values);
  };
  Fault fault;
  if (!config.host_header().empty()) {
    fault = take("host_header", config.host_header(), Condition::Kind::kHost, true);
  } else if (!config.path_pattern().empty()) {
    fault = take("path_pattern", config.path_pattern(), Condition::Kind::kPath, false);
  } else if (!config.http_request_method().empty()) {
    fault =
        take("http_request_method", config.http_request_method(), Condition::Kind::kMethod, false);
  } else if (config.has_http_header()) {
    out.header_name = config.http_header().name();
    if (out.header_name.empty() || !http::AllOf(out.header_name, http::kTokenChar)) {
      return "http_header.name: " + Quote(out.header_name) + " is not a header name";
    }
    fault =
        take("http_header.values", config.http_header().values(), Condition::Kind::kHeader, true);
    if (count == 0) return std::string("http_header.values: at least one");
  } else if (!config.query_string().empty()) {
    out.kind = Condition::Kind::kQuery;
    count = config.query_string_size();
    for (const auto& query : config.query_string()) {
      if (Fault f = CheckText("query_string.key", query.key(), kMaxPatternBytes)) return f;
      if (Fault f = CheckText("query_string.value", query.value(), kMaxPatternBytes)) return f;
      out.queries.emplace_back(LowerCase(query.key()), LowerCase(query.value()));
    }
  } else {
    out.kind = Condition::Kind::kSourceIp;
    count = config.source_ip_size();
    for (const std::string& text : config.source_ip()) {
      if (Fault f = ParseCidr(text, out.sources.emplace_back())) return f;
    }
  }
  if (fault) return fault;
  return CheckRange("values", count, 1, kMaxConditionValues);
}

Fault CompileForward(const remuda::v1::ForwardAction& config, const GroupLookup& groups,
                     ForwardAction& out) {
  if (Fault f =
          CheckRange("forward.target_groups", config.target_groups_size(), 1, kMaxForwardGroups)) {
    return f;
  }
  for (const auto& choice : config.target_groups()) {
    std::string id;
    if (!NormalizeId(choice.name(), "targetGroups", id)) {
      return "forward.target_groups.name: " + Quote(choice.name()) +
             " is not a target group's name";
    }
    std::shared_ptr<GroupState> group = groups(id);
    if (group == nullptr)
      return "forward.target_groups.name: there is no target group " + Quote(id);
    const int weight = choice.has_weight() ? choice.weight() : 1;
    if (Fault f = CheckRange("forward.target_groups.weight", weight, 0, kMaxGroupWeight)) return f;
    out.groups.push_back({std::move(group), weight});
    out.total_weight += weight;
  }
  return std::nullopt;
}

Fault CompileFixed(const remuda::v1::FixedResponseAction& config, FixedResponse& out) {
  const int status = config.status();
  if (!((status >= 200 && status <= 299) || (status >= 400 && status <= 599))) {
    return "fixed_response.status: " + std::to_string(status) + " is not within 200-299 or 400-599";
  }
  if (config.body().size() > kMaxFixedBodyBytes) {
    return "fixed_response.body: " + std::to_string(config.body().size()) + " bytes, at most " +
           std::to_string(kMaxFixedBodyBytes);
  }
  if (Fault f = CheckText("fixed_response.content_type", config.content_type(), kMaxPatternBytes))
    return f;
  out.status = status;
  out.content_type = config.content_type().empty() ? "text/plain" : config.content_type();
  out.body = config.body();
  return std::nullopt;
}

Fault CompileRedirect(const remuda::v1::RedirectAction& config, Redirect& out) {
  if (config.status() != 0 && config.status() != 301 && config.status() != 302) {
    return "redirect.status: " + std::to_string(config.status()) + " is neither 301 nor 302";
  }
  if (!config.protocol().empty() && config.protocol() != "HTTP" && config.protocol() != "HTTPS" &&
      config.protocol() != "#{protocol}") {
    return "redirect.protocol: " + Quote(config.protocol()) + " is not HTTP, HTTPS or #{protocol}";
  }
  for (const auto& [field, text] :
       {std::pair<std::string_view, const std::string&>{"redirect.host", config.host()},
        {"redirect.port", config.port()},
        {"redirect.path", config.path()},
        {"redirect.query", config.query()}}) {
    if (Fault f = CheckText(field, text, kMaxPatternBytes)) return f;
  }
  if (!config.path().empty() && config.path().front() != '/') {
    return "redirect.path: " + Quote(config.path()) + " does not start with '/'";
  }
  out = {config.status() == 0 ? 302 : config.status(),
         LowerCase(config.protocol()),
         config.host(),
         config.port(),
         config.path(),
         config.query()};
  return std::nullopt;
}

Fault CompileAction(const remuda::v1::Action& config, const GroupLookup& groups,
                    ListenerSpec& listener, RuleAction& out) {
  switch (config.kind_case()) {
    case remuda::v1::Action::kForward: {
      ForwardAction action;
      if (Fault f = CompileForward(config.forward(), groups, action)) return f;
      action.index = listener.forward_actions++;
      out = std::move(action);
      return std::nullopt;
    }
    case remuda::v1::Action::kFixedResponse: {
      FixedResponse action;
      if (Fault f = CompileFixed(config.fixed_response(), action)) return f;
      out = std::move(action);
      return std::nullopt;
    }
    case remuda::v1::Action::kRedirect: {
      Redirect action;
      if (Fault f = CompileRedirect(config.redirect(), action)) return f;
      out = std::move(action);
      return std::nullopt;
    }
    default:
      return std::string("action: one of forward, fixed_response, redirect must be set");
  }
}

Fault Prefix(const std::string& prefix, Fault fault) {
  if (fault) *fault = prefix + *fault;
  return fault;
}

Fault CompileRules(const remuda::v1::Listener& config, const GroupLookup& groups,
                   ListenerSpec& out) {
  if (Fault f = CheckRange("rules", config.rules_size(), 0, kMaxRules)) return f;
  std::map<int32_t, Rule> by_priority;
  for (const auto& rule_config : config.rules()) {
    const std::string where = "rule " + std::to_string(rule_config.priority()) + ": ";
    if (Fault f = CheckRange("rules.priority", rule_config.priority(), 1, 50000)) return f;
    if (by_priority.count(rule_config.priority()) > 0) return where + "the priority is used twice";
    Rule rule{.priority = rule_config.priority(), .conditions = {}, .action = {}};
    if (Fault f = CheckRange("conditions", rule_config.conditions_size(), 1, kMaxConditions)) {
      return Prefix(where, f);
    }
    for (const auto& condition : rule_config.conditions()) {
      if (Fault f = CompileCondition(condition, rule.conditions.emplace_back()))
        return Prefix(where, f);
    }
    if (Fault f = CompileAction(rule_config.action(), groups, out, rule.action))
      return Prefix(where, f);
    by_priority.emplace(rule.priority, std::move(rule));
  }
  for (auto& [priority, rule] : by_priority) out.rules.push_back(std::move(rule));
  Rule last;
  if (Fault f = CompileAction(config.default_action(), groups, out, last.action)) {
    return Prefix("default_", f);
  }
  out.rules.push_back(std::move(last));
  return std::nullopt;
}

}  // namespace

std::optional<IpBytes> ParseIp(const std::string& text) {
  IpBytes bytes{};
  in_addr v4;
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    bytes[10] = bytes[11] = 0xff;
    std::memcpy(&bytes[12], &v4, 4);
    return bytes;
  }
  return inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1 ? std::optional(bytes) : std::nullopt;
}

bool NormalizeId(std::string_view name, std::string_view collection, std::string& id) {
  if (name.size() > collection.size() && name.substr(0, collection.size()) == collection &&
      name[collection.size()] == '/') {
    name.remove_prefix(collection.size() + 1);
  }
  id = name;
  return IsId(name);
}

Fault CheckRange(std::string_view field, int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= max) return std::nullopt;
  return std::string(field) + ": " + std::to_string(value) + " is not within " +
         std::to_string(min) + "-" + std::to_string(max);
}

Fault TakeDuration(bool is_set, const google::protobuf::Duration& value, const DurationRule& rule,
                   milliseconds& out) {
  if (!is_set) return std::nullopt;
  const bool is_sane = value.seconds() >= 0 && value.seconds() <= 1000000 && value.nanos() >= 0;
  const milliseconds got =
      is_sane ? milliseconds(value.seconds() * 1000 + value.nanos() / 1000000) : milliseconds(-1);
  if (got < rule.min || got > rule.max) {
    return std::string(rule.field) + ": " + std::to_string(value.seconds()) + "." +
           std::to_string(value.nanos()) + "s is not within " + std::to_string(rule.min.count()) +
           "ms-" + std::to_string(rule.max.count()) + "ms";
  }
  out = got;
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

Fault CompileHealthCheck(const remuda::v1::HealthCheck& config, HealthCheckSpec& out) {
  if (!config.path().empty()) {
    out.path = config.path();
    if (out.path.front() != '/' || out.path.size() > 1024 ||
        !http::AllOf(out.path, http::kTargetChar)) {
      return "health_check.path: " + Quote(out.path) +
             " must start with '/', have at most 1024 characters, none of them a space, '#' or "
             "control";
    }
  }
  switch (config.protocol()) {
    case remuda::v1::PROTOCOL_UNSPECIFIED:
    case remuda::v1::PROTOCOL_HTTP:
      break;
    case remuda::v1::PROTOCOL_TCP:
      out.is_tcp = true;
      break;
    default:
      return std::string("health_check.protocol: only HTTP and TCP are served");
  }
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
  switch (config.x_forwarded_for_mode()) {
    case remuda::v1::X_FORWARDED_FOR_MODE_PRESERVE:
      out.forwarded_for = http::ForwardedForMode::kPreserve;
      break;
    case remuda::v1::X_FORWARDED_FOR_MODE_REMOVE:
      out.forwarded_for = http::ForwardedForMode::kRemove;
      break;
    default:
      out.forwarded_for = http::ForwardedForMode::kAppend;
      break;
  }
  if (Fault f = CheckRange("listeners", config.listeners_size(), 1, kMaxListeners)) return f;
  std::set<int> ports;
  for (const auto& listener_config : config.listeners()) {
    ListenerSpec& listener = out.listeners.emplace_back();
    const std::string where = "listener " + std::to_string(listener_config.port()) + ": ";
    if (Fault f = CheckRange("port", listener_config.port(), allow_port_zero ? 0 : 1, 65535)) {
      return Prefix(where, f);
    }
    if (listener_config.port() != 0 && !ports.insert(listener_config.port()).second) {
      return where + "the port is used twice";
    }
    if (listener_config.protocol() != remuda::v1::PROTOCOL_UNSPECIFIED &&
        listener_config.protocol() != remuda::v1::PROTOCOL_HTTP) {
      return where + "protocol: only HTTP is served";
    }
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
