#include "proxy/core/match.h"

#include <algorithm>

#include "proxy/http/chars.h"

namespace remuda::proxy {
namespace {

bool AnyMatches(const std::vector<std::string>& patterns, std::string_view text, bool lower) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return MatchesWildcard(pattern, text, lower);
  });
}

bool MatchesQuery(const Condition& condition, std::string_view query) {
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view part = query.substr(0, end);
    const size_t equals = part.find('=');
    const std::string_view key = part.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    for (const auto& [want_key, want_value] : condition.queries) {
      const bool key_holds = want_key.empty() || MatchesWildcard(want_key, key, true);
      if (key_holds && MatchesWildcard(want_value, value, true)) return true;
    }
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
  }
  return false;
}

bool Contains(const Cidr& cidr, const IpBytes& source) {
  const size_t whole = static_cast<size_t>(cidr.prefix_bits) / 8;
  const int rest = cidr.prefix_bits % 8;
  if (!std::equal(source.begin(), source.begin() + static_cast<ptrdiff_t>(whole),
                  cidr.address.begin()))
    return false;
  if (rest == 0) return true;
  const int mask = (0xff << (8 - rest)) & 0xff;
  return (source[whole] & mask) == (cidr.address[whole] & mask);
}

bool Holds(const Condition& condition, const http::RequestHead& head, const IpBytes& source) {
  switch (condition.kind) {
    case Condition::Kind::kHost:
      return AnyMatches(condition.values, HostWithoutPort(head.host), true);
    case Condition::Kind::kPath:
      return AnyMatches(condition.values, head.path, false);
    case Condition::Kind::kMethod:
      return AnyMatches(condition.values, head.method_name, false);
    case Condition::Kind::kQuery:
      return head.has_query && MatchesQuery(condition, head.query);
    case Condition::Kind::kHeader:
      return std::any_of(head.fields.begin(), head.fields.end(), [&](const http::Field& field) {
        return http::EqualsIgnoreCase(field.name, condition.header_name) &&
               AnyMatches(condition.values, field.value, true);
      });
    case Condition::Kind::kSourceIp:
      return std::any_of(condition.sources.begin(), condition.sources.end(),
                         [&](const Cidr& cidr) { return Contains(cidr, source); });
  }
  return false;
}

std::string Expand(std::string_view text,
                   const std::vector<std::pair<std::string_view, std::string_view>>& values) {
  std::string out;
  while (!text.empty()) {
    const auto it = std::find_if(values.begin(), values.end(), [&](const auto& value) {
      return text.substr(0, value.first.size()) == value.first;
    });
    if (it != values.end()) {
      out += it->second;
      text.remove_prefix(it->first.size());
    } else {
      out += text.front();
      text.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace

bool MatchesWildcard(std::string_view pattern, std::string_view text, bool lower) {
  size_t p = 0;
  size_t t = 0;
  size_t star = std::string_view::npos;
  size_t star_text = 0;
  while (t < text.size()) {
    const char c = lower ? http::Lower(text[t]) : text[t];
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == c)) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;  // let the last '*' take one more
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string_view HostWithoutPort(std::string_view host) {
  const size_t colon = host.rfind(':');
  if (colon == std::string_view::npos || host.find(']', colon) != std::string_view::npos)
    return host;
  return host.substr(0, colon);
}

const Rule* MatchRule(const ListenerSpec& listener, const http::RequestHead& head,
                      const IpBytes& source) {
  for (const Rule& rule : listener.rules) {
    const bool holds =
        std::all_of(rule.conditions.begin(), rule.conditions.end(),
                    [&](const Condition& condition) { return Holds(condition, head, source); });
    if (holds) return &rule;
  }
  return nullptr;
}

std::string ExpandRedirect(const Redirect& redirect, const http::RequestHead& head,
                           std::string_view protocol, uint16_t port) {
  const std::string port_text = std::to_string(port);
  const std::string_view host = HostWithoutPort(head.host);
  // '#{path}' stands for the path without its first '/', as AWS has it.
  const std::string_view path = head.path.empty() ? head.path : head.path.substr(1);
  const std::vector<std::pair<std::string_view, std::string_view>> values = {
      {"#{protocol}", protocol},
      {"#{host}", host},
      {"#{port}", port_text},
      {"#{path}", path},
      {"#{query}", head.query}};
  const auto part = [&](const std::string& text, std::string_view fallback) {
    return text.empty() ? std::string(fallback) : Expand(text, values);
  };
  const std::string to_protocol = part(redirect.protocol, protocol);
  const std::string to_port = part(redirect.port, port_text);
  const bool is_default_port =
      (to_protocol == "http" && to_port == "80") || (to_protocol == "https" && to_port == "443");
  std::string location = to_protocol + "://" + part(redirect.host, host);
  if (!is_default_port) location += ":" + to_port;
  location += part(redirect.path, head.path);
  const std::string query = part(redirect.query, head.query);
  if (!query.empty()) location += "?" + query;
  return location;
}

}  // namespace remuda::proxy
