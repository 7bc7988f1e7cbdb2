// Rules and requests made of few characters, so that they meet often: for comparing the index of
// rules with judging them one by one. `Choose(n)` gives a number below n.
#pragma once

#include <array>
#include <string>

#include "remuda/v1/load_balancer.pb.h"

namespace remuda::proxy::testing {

template <typename Choose, size_t kSize>
std::string OneOf(Choose& choose, const std::array<const char*, kSize>& texts) {
  return texts[choose(kSize)];
}

template <typename Choose, size_t kSize>
std::string SomeOf(Choose& choose, const std::array<const char*, kSize>& texts, size_t most) {
  std::string out;
  for (size_t left = choose(most) + 1; left > 0; --left) out += OneOf(choose, texts);
  return out;
}

inline constexpr std::array<const char*, 7> kHostPieces = {"a", "B", ".", ".ab", "b.a", "*", "?"};
inline constexpr std::array<const char*, 7> kPathPieces = {"a", "B", "/", "/a", "/a/b", "*", "?"};
inline constexpr std::array<const char*, 7> kValuePieces = {"a", "B", "ab", "\\*", "*", "?", "b"};
inline constexpr std::array<const char*, 8> kRegexes = {"a",       "[ab]+",  "/?a.*", ".*b",
                                                        "(?:/a)+", "a|b|ab", "",      "(?i)B.*"};
inline constexpr std::array<const char*, 5> kMethods = {"GET", "POST", "PUT", "PURGE", "X-Y"};
inline constexpr std::array<const char*, 4> kNames = {"x-a", "X-b", "x-c", "ab"};
inline constexpr std::array<const char*, 4> kKeys = {"a", "B", "", "a*"};
inline constexpr std::array<const char*, 4> kSources = {"10.0.0.0/8", "10.1.0.0/16", "::/0",
                                                        "10.1.2.3"};
inline constexpr std::array<const char*, 4> kClients = {"10.1.2.3", "10.9.9.9", "11.1.1.1",
                                                        "2001:db8::1"};

template <typename Choose>
void AddCondition(Choose& choose, remuda::v1::Rule& rule) {
  auto& condition = *rule.add_conditions();
  const size_t kind = choose(8);
  std::string name;
  if (kind == 3) name = OneOf(choose, kNames);
  for (size_t left = choose(3) + 1; left > 0; --left) {
    switch (kind) {
      case 0:
        condition.mutable_host_header()->add_values(SomeOf(choose, kHostPieces, 4));
        break;
      case 1:
        condition.mutable_path_pattern()->add_values("/" + SomeOf(choose, kPathPieces, 4));
        break;
      case 2:
        condition.mutable_http_request_method()->add_values(OneOf(choose, kMethods));
        break;
      case 3:
        condition.mutable_http_header()->set_http_header_name(name);
        if (name == "x-c") {
          condition.mutable_http_header()->add_regex_values("x" + OneOf(choose, kRegexes));
        } else {
          condition.mutable_http_header()->add_values(SomeOf(choose, kValuePieces, 3));
        }
        break;
      case 4: {
        auto& query = *condition.mutable_query_string()->add_values();
        query.set_key(OneOf(choose, kKeys));
        if (query.key().empty() || choose(4) > 0) query.set_value(SomeOf(choose, kValuePieces, 3));
        break;
      }
      case 5:
        condition.mutable_source_ip()->add_values(OneOf(choose, kSources));
        break;
      case 6:
        condition.mutable_host_header()->add_regex_values("a?" + OneOf(choose, kRegexes));
        break;
      default:
        condition.mutable_path_pattern()->add_regex_values("/" + OneOf(choose, kRegexes));
        break;
    }
  }
}

// A listener on port 80 with fixed responses.
template <typename Choose>
remuda::v1::Listener RandomListener(Choose& choose, size_t max_rules) {
  remuda::v1::Listener listener;
  listener.set_port(80);
  listener.mutable_default_action()->mutable_fixed_response()->set_status(404);
  for (size_t left = choose(max_rules + 1); left > 0; --left) {
    auto& rule = *listener.add_rules();
    rule.set_priority(static_cast<int>(left));
    rule.mutable_action()->mutable_fixed_response()->set_status(200);
    for (size_t conditions = choose(4) + 1; conditions > 0; --conditions)
      AddCondition(choose, rule);
  }
  return listener;
}

// The lines of a request's head. Some are refused by the parser.
template <typename Choose>
std::string RandomRequest(Choose& choose) {
  static constexpr std::array<const char*, 7> kHosts = {"a", "B", ".", ".ab", "b.a", "ab", ":80"};
  static constexpr std::array<const char*, 6> kPaths = {"a", "B", "/", "/a", "/a/b", "%61"};
  static constexpr std::array<const char*, 7> kQueries = {"a", "B", "=", "&", "%42", "+", "%2"};
  static constexpr std::array<const char*, 6> kValues = {"a", "B", "ab", "x", "*", "b"};
  std::string lines = OneOf(choose, kMethods) + " /" + SomeOf(choose, kPaths, 4);
  if (choose(2) == 0) lines += "?" + SomeOf(choose, kQueries, 8);
  lines += " HTTP/1.1\r\nHost: " + SomeOf(choose, kHosts, 4);
  for (size_t left = choose(4); left > 0; --left)
    lines += "\r\n" + OneOf(choose, kNames) + ": " + SomeOf(choose, kValues, 3);
  return lines;
}

}  // namespace remuda::proxy::testing
