#include "proxy/core/action_check.h"

#include <algorithm>
#include <span>

#include "proxy/core/forward.h"
#include "proxy/core/redirect.h"
#include "proxy/http/chars.h"

namespace remuda::proxy {
namespace {

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
    const bool is_twice = std::any_of(out.groups.begin(), out.groups.end(),
                                      [&](const auto& other) { return other.group == group; });
    if (is_twice) return "forward.target_groups.name: " + Quote(id) + " is there twice";
    const int weight = choice.has_weight() ? choice.weight() : 1;
    if (Fault f = CheckRange("forward.target_groups.weight", weight, 0, kMaxGroupWeight)) return f;
    out.groups.push_back({std::move(group), weight});
  }
  const auto& stickiness = config.stickiness_duration();
  std::chrono::milliseconds duration{0};
  if (Fault f = TakeDuration(stickiness.seconds() != 0 || stickiness.nanos() != 0, stickiness,
                             {"forward.stickiness_duration", std::chrono::milliseconds(1000),
                              std::chrono::milliseconds(604800000)},
                             duration)) {
    return f;
  }
  out.stickiness = std::chrono::duration_cast<std::chrono::seconds>(duration);
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
  if (status == 204 && !config.body().empty())
    return std::string("fixed_response.body: a 204 has no body");
  const std::string& type = config.content_type();
  if (Fault f = CheckText("fixed_response.content_type", type, kMaxPatternBytes)) return f;
  const size_t slash = type.find('/');
  if (!type.empty() && (slash == 0 || slash == std::string::npos || slash + 1 == type.size()))
    return "fixed_response.content_type: " + Quote(type) + " is not a media type";
  out.status = status;
  out.content_type = config.content_type().empty() ? "text/plain" : config.content_type();
  out.body = config.body();
  return std::nullopt;
}

// What text between placeholders may be made of.
bool IsHostText(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}
bool IsPathText(char c) { return http::Is(c, http::kTargetChar) && c != '?'; }
bool IsQueryText(char c) { return http::Is(c, http::kTargetChar); }

struct TemplateRule {
  std::string_view field;
  std::span<const std::string_view> placeholders;  // but #{protocol}
  bool (*is_text)(char);
  std::string_view fallback;  // "as it came"
};
constexpr std::string_view kHostPlaceholders[] = {"#{host}"};
constexpr std::string_view kPortPlaceholders[] = {"#{port}"};
constexpr std::string_view kPathPlaceholders[] = {"#{host}", "#{port}", "#{path}"};
constexpr std::string_view kQueryPlaceholders[] = {"#{host}", "#{port}", "#{path}", "#{query}"};

// `protocol`: what #{protocol} stands for; empty: it may not stand here.
Fault TakeTemplate(const std::string& text, const TemplateRule& rule, std::string_view protocol,
                   Template& out) {
  if (Fault f = CheckText(rule.field, text, kMaxPatternBytes)) return f;
  if (Fault f = ParseTemplate(rule.field, text.empty() ? rule.fallback : std::string_view(text),
                              rule.placeholders, protocol, out)) {
    return f;
  }
  for (const TemplatePart& part : out) {
    if (std::all_of(part.text.begin(), part.text.end(), rule.is_text)) continue;
    return std::string(rule.field) + ": " + Quote(text) +
           " holds a character that may not stand here";
  }
  return std::nullopt;
}

Fault CheckPort(const Template& port) {
  const TemplatePart& part = port.front();
  int number = 0;
  const bool is_valid =
      port.size() == 1 &&
      (part.kind == TemplatePart::Kind::kPort ||
       (ParseInt(part.text, number) && number >= 1 && number <= 65535 && part.text.front() != '0'));
  if (is_valid) return std::nullopt;
  return std::string("redirect.port: neither a number within 1-65535 nor #{port}");
}

// Every part as it came: a client would follow it in a circle.
bool LeadsToItself(const Redirect& redirect, std::string_view listener_protocol,
                   int listener_port) {
  using Kind = TemplatePart::Kind;
  const Template host = {{.kind = Kind::kHost}};
  const Template port = {{.kind = Kind::kPort}};
  const Template same_port = {{.kind = Kind::kText, .text = std::to_string(listener_port)}};
  const Template path = {{.kind = Kind::kText, .text = "/"}, {.kind = Kind::kPath}};
  const Template query = {{.kind = Kind::kQuery}};
  return redirect.protocol == listener_protocol && redirect.host == host &&
         (redirect.port == port || redirect.port == same_port) && redirect.path == path &&
         redirect.query == query;
}

Fault CompileRedirect(const remuda::v1::RedirectAction& config,
                      const remuda::v1::Listener& listener, Redirect& out) {
  if (config.status() != 0 && config.status() != 301 && config.status() != 302) {
    return "redirect.status: " + std::to_string(config.status()) + " is neither 301 nor 302";
  }
  const bool is_https = listener.protocol() == remuda::v1::PROTOCOL_HTTPS;
  const std::string came = is_https ? "https" : "http";
  if (!config.protocol().empty() && config.protocol() != "HTTP" && config.protocol() != "HTTPS" &&
      config.protocol() != "#{protocol}") {
    return "redirect.protocol: " + Quote(config.protocol()) + " is not HTTP, HTTPS or #{protocol}";
  }
  if (is_https && config.protocol() == "HTTP")
    return std::string("redirect.protocol: an HTTPS listener never redirects to HTTP");
  if (!config.path().empty() && config.path().front() != '/')
    return "redirect.path: " + Quote(config.path()) + " does not start with '/'";
  out.status = config.status() == 0 ? 302 : config.status();
  out.protocol = config.protocol() == "HTTP"    ? "http"
                 : config.protocol() == "HTTPS" ? "https"
                                                : came;
  if (Fault f = TakeTemplate(
          config.host(), {"redirect.host", kHostPlaceholders, IsHostText, "#{host}"}, "", out.host))
    return f;
  if (Fault f = TakeTemplate(
          config.port(), {"redirect.port", kPortPlaceholders, IsHostText, "#{port}"}, "", out.port))
    return f;
  if (Fault f = CheckPort(out.port)) return f;
  if (Fault f =
          TakeTemplate(config.path(), {"redirect.path", kPathPlaceholders, IsPathText, "/#{path}"},
                       came, out.path))
    return f;
  if (Fault f = TakeTemplate(config.query(),
                             {"redirect.query", kQueryPlaceholders, IsQueryText, "#{query}"}, came,
                             out.query))
    return f;
  if (LeadsToItself(out, came, listener.port())) {
    return std::string(
        "redirect: leads to itself: one of protocol, host, port, path and query must differ");
  }
  return std::nullopt;
}

}  // namespace

Fault CompileAction(const remuda::v1::Action& config, const remuda::v1::Listener& listener,
                    const GroupLookup& groups, RuleAction& out) {
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
      if (Fault f = CompileRedirect(config.redirect(), listener, action)) return f;
      out = std::move(action);
      return std::nullopt;
    }
    default:
      return std::string("action: one of forward, fixed_response, redirect must be set");
  }
}

}  // namespace remuda::proxy
