#include "proxy/core/rule_check.h"

#include <map>

#include "proxy/core/config_check.h"
#include "proxy/core/forward.h"
#include "proxy/http/chars.h"

namespace remuda::proxy {
namespace {

Fault CheckPatterns(std::string_view field,
                    const google::protobuf::RepeatedPtrField<std::string>& values) {
  for (const std::string& value : values) {
    if (value.empty()) return std::string(field) + ": an empty value";
    if (Fault fault = CheckText(field, value, kMaxPatternBytes)) return fault;
  }
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
      if (Fault f = ParseCidr("source_ip", text, out.sources.emplace_back())) return f;
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

Fault CompileAction(const remuda::v1::Action& config, const GroupLookup& groups, RuleAction& out) {
  switch (config.kind_case()) {
    case remuda::v1::Action::kForward: {
      ForwardAction action;
      if (Fault f = CompileForward(config.forward(), groups, action)) return f;
      PlanTurns(action);
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

}  // namespace

Fault CompileRules(const remuda::v1::Listener& config, const GroupLookup& groups,
                   ListenerSpec& out) {
  if (Fault f = CheckRange("rules", config.rules_size(), 0, kMaxRules)) return f;
  std::map<int32_t, Rule> by_priority;
  for (const auto& rule_config : config.rules()) {
    const std::string where = "rule " + std::to_string(rule_config.priority()) + ": ";
    if (Fault f = CheckRange("rules.priority", rule_config.priority(), 1, kMaxPriority)) return f;
    if (by_priority.count(rule_config.priority()) > 0) return where + "the priority is used twice";
    Rule rule{.priority = rule_config.priority(), .conditions = {}, .action = {}};
    if (Fault f = CheckRange("conditions", rule_config.conditions_size(), 1, kMaxConditions)) {
      return Prefix(where, f);
    }
    for (const auto& condition : rule_config.conditions()) {
      if (Fault f = CompileCondition(condition, rule.conditions.emplace_back()))
        return Prefix(where, f);
    }
    if (Fault f = CompileAction(rule_config.action(), groups, rule.action)) return Prefix(where, f);
    by_priority.emplace(rule.priority, std::move(rule));
  }
  for (auto& [priority, rule] : by_priority) out.rules.push_back(std::move(rule));
  Rule last;
  if (Fault f = CompileAction(config.default_action(), groups, last.action)) {
    return Prefix("default_", f);
  }
  out.rules.push_back(std::move(last));
  return std::nullopt;
}

}  // namespace remuda::proxy
