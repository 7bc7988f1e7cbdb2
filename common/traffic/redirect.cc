#include "common/traffic/redirect.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "common/traffic/text.h"
#include "remuda/v1/load_balancer.pb.h"

namespace remuda::traffic {
namespace {

using Kind = TemplatePart::Kind;

struct Placeholder {
  std::string_view text;
  Kind kind;
};
constexpr std::array<Placeholder, 4> kPlaceholders = {{{"#{host}", Kind::kHost},
                                                       {"#{port}", Kind::kPort},
                                                       {"#{path}", Kind::kPath},
                                                       {"#{query}", Kind::kQuery}}};
constexpr char kHttpsPort[] = "443";
constexpr std::string_view kProtocol = "#{protocol}";

// What text between placeholders may be made of.
bool IsHostText(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}
bool IsQueryText(char c) { return c > 0x20 && c < 0x7f && c != '#'; }
bool IsPathText(char c) { return IsQueryText(c) && c != '?'; }

// What may stand in one field.
struct TemplateRule {
  const char* field;
  std::string_view placeholders;  // their names, a space after each
  bool (*is_text)(char);
  std::string_view text_rule;
  std::string_view fallback;  // "as it came"
};
constexpr TemplateRule kHost = {"host", "#{host} ", IsHostText, "letters, digits, '-', '.' and '_'",
                                "#{host}"};
constexpr TemplateRule kPort = {"port", "#{port} ", IsHostText, "digits", "#{port}"};
constexpr TemplateRule kPath = {"path", "#{protocol} #{host} #{port} #{path} ", IsPathText,
                                "visible ASCII without '#' and '?'", "/#{path}"};
constexpr TemplateRule kQuery = {"query", "#{protocol} #{host} #{port} #{path} #{query} ",
                                 IsQueryText, "visible ASCII without '#'", "#{query}"};

void AddText(std::string_view text, Template& out) {
  if (out.empty() || out.back().kind != Kind::kText) out.push_back({});
  out.back().text += text;
}

// Cuts `text` at its placeholders; `protocol` is what #{protocol} stands for.
void ParseTemplate(const std::string& text, const TemplateRule& rule, std::string_view protocol,
                   Template& out, FieldFaults& faults) {
  out.clear();
  const size_t faults_before = faults.size();
  CheckText(rule.field, text, kMaxTextBytes, faults);
  if (faults.size() > faults_before) return;
  std::string_view rest = text.empty() ? rule.fallback : std::string_view(text);
  while (!rest.empty()) {
    const size_t mark = std::min(rest.find("#{"), rest.size());
    if (const std::string_view plain = rest.substr(0, mark); !plain.empty()) {
      if (!std::all_of(plain.begin(), plain.end(), rule.is_text)) {
        faults.push_back({rule.field, text,
                          "holds a character that may not stand here; these may: " +
                              std::string(rule.text_rule)});
        return;
      }
      AddText(plain, out);
      rest.remove_prefix(mark);
      continue;
    }
    const size_t end = rest.find('}');
    const std::string name(rest.substr(0, end == std::string_view::npos ? end : end + 1));
    if (rule.placeholders.find(name + " ") == std::string_view::npos) {
      faults.push_back(
          {rule.field, name,
           "is not a placeholder that may stand here; these may: " +
               std::string(rule.placeholders.substr(0, rule.placeholders.size() - 1))});
      return;
    }
    const auto known = std::find_if(kPlaceholders.begin(), kPlaceholders.end(),
                                    [&](const Placeholder& p) { return p.text == name; });
    if (name == kProtocol) {
      AddText(protocol, out);
    } else {
      out.push_back({.kind = known->kind});
    }
    rest.remove_prefix(name.size());
  }
}

// A number without leading zeros, or the placeholder alone.
bool IsPort(const Template& port) {
  if (port.size() != 1) return false;
  if (port.front().kind == Kind::kPort) return true;
  const std::string& text = port.front().text;
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && text.front() != '0' &&
         number >= 1 && number <= 65535;
}

const char* SchemeOf(const v1::Listener& listener) {
  return listener.protocol() == v1::PROTOCOL_HTTPS ? "https" : "http";
}

}  // namespace

FieldFaults ParseRedirect(const v1::RedirectAction& config, const v1::Listener& listener,
                          Redirect& out) {
  FieldFaults faults;
  if (config.status() != 0 && config.status() != 301 && config.status() != 302)
    faults.push_back({"status", {}, std::to_string(config.status()) + " is neither 301 nor 302"});
  const std::string& protocol = config.protocol();
  if (!protocol.empty() && protocol != "HTTP" && protocol != "HTTPS" && protocol != kProtocol)
    faults.push_back({"protocol", protocol, "is not HTTP, HTTPS or #{protocol}"});
  if (listener.protocol() == v1::PROTOCOL_HTTPS && protocol == "HTTP")
    faults.push_back({"protocol", protocol, "on an HTTPS listener: it never redirects to HTTP"});
  const std::string came = SchemeOf(listener);
  out.status = config.status() == 0 ? 302 : config.status();
  out.protocol = protocol == "HTTP" ? "http" : protocol == "HTTPS" ? "https" : came;
  ParseTemplate(config.host(), kHost, came, out.host, faults);
  const size_t before_port = faults.size();
  ParseTemplate(config.port(), kPort, came, out.port, faults);
  // The listener's own port speaks no TLS.
  if (config.port().empty() && out.protocol != came) out.port = {{.text = kHttpsPort}};
  if (faults.size() == before_port && !IsPort(out.port))
    faults.push_back({"port", config.port(), "is neither a number within 1-65535 nor #{port}"});
  if (!config.path().empty() && config.path().front() != '/')
    faults.push_back({"path", config.path(), "does not start with '/'"});
  ParseTemplate(config.path(), kPath, came, out.path, faults);
  if (!config.query().empty() && config.query().front() == '?')
    faults.push_back({"query", config.query(), "starts with '?', which is put before it anyway"});
  ParseTemplate(config.query(), kQuery, came, out.query, faults);
  return faults;
}

bool StaysInPlace(const Redirect& redirect, const v1::Listener& listener) {
  const Template host = {{.kind = Kind::kHost}};
  const Template port = {{.kind = Kind::kPort}};
  const Template same_port = {{.kind = Kind::kText, .text = std::to_string(listener.port())}};
  const Template path = {{.kind = Kind::kText, .text = "/"}, {.kind = Kind::kPath}};
  return redirect.protocol == SchemeOf(listener) && redirect.host == host &&
         (redirect.port == port || redirect.port == same_port) && redirect.path == path;
}

Template SameQuery() { return {{.kind = Kind::kQuery}}; }

}  // namespace remuda::traffic
