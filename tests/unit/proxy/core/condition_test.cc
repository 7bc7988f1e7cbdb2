// Conditions: what holds for which request, by itself and by the index.
#include "proxy/core/condition.h"

#include <gtest/gtest.h>

#include "proxy/core/match.h"
#include "proxy/core/query.h"
#include "proxy/core/wildcard.h"
#include "tests/unit/proxy/core/requests.h"
#include "tests/unit/proxy/core/tables.h"

namespace remuda::proxy {
namespace {

TEST(Wildcard, Matches) {
  struct Case {
    const char* pattern;
    const char* text;
    WildcardOptions options;
    bool matches;
  };
  const Case cases[] = {
      {"/a/*", "/a/", {}, true},
      {"/a/*", "/a/b/c", {}, true},
      {"/a/*", "/a", {}, false},
      {"/a?c", "/abc", {}, true},
      {"/a?c", "/ac", {}, false},
      {"*", "", {}, true},
      {"*.example.com", "a.example.com", {.lower = true}, true},
      {"*.example.com", "example.com", {.lower = true}, false},
      {"*.Example.com", "A.EXAMPLE.com", {.lower = true}, true},
      {"/A", "/a", {}, false},
      {"a*b*c", "aXbXbXc", {}, true},
      {"a*b*c", "aXbXbX", {}, false},
      {"", "", {}, true},
      {"", "x", {}, false},
      {"**a", "ba", {}, true},
      {"a\\*", "a*", {.escapes = true}, true},
      {"a\\*", "ab", {.escapes = true}, false},
      {"a\\?\\\\", "a?\\", {.escapes = true}, true},
      {"a\\b", "a\\b", {.escapes = true}, true},
      {"a\\*", "a\\b", {}, true},  // without escapes a backslash is a character
  };
  for (const Case& c : cases) {
    EXPECT_EQ(MatchesWildcard(CompileWildcard(c.pattern, c.options), c.text, c.options.lower),
              c.matches)
        << c.pattern << " " << c.text;
  }
}

TEST(QueryReader, ReadsWhatFormsWrite) {
  const auto read = [](std::string_view query) {
    std::string out;
    QueryReader reader(query);
    QueryPair pair;
    while (reader.Next(pair))
      out += "[" + std::string(pair.key) + "|" + std::string(pair.value) + "]";
    return out;
  };
  EXPECT_EQ(read("a=1&b=2"), "[a|1][b|2]");
  EXPECT_EQ(read("a&&b=&=c"), "[a|][b|][|c]");
  EXPECT_EQ(read("a=b=c"), "[a|b=c]");
  EXPECT_EQ(read("%61dmin=x%20y+z"), "[admin|x y z]");
  EXPECT_EQ(read("a=%26%3D&b=%2B"), "[a|&=][b|+]");
  EXPECT_EQ(read("a=%zz%4&b=%"), "[a|%zz%4][b|%]");
  EXPECT_EQ(read(""), "");
  const std::string long_value(40'000, '+');
  EXPECT_EQ(read("k=" + long_value), "[k|" + long_value + "]");  // over any request line
}

struct MatchCase {
  const char* name;
  const char* condition;  // JSON of remuda.v1.Condition
  const char* request;    // line, and fields but Host if it has one
  const char* source;
  bool holds;
};

class ConditionTest : public ::testing::TestWithParam<MatchCase> {};

TEST_P(ConditionTest, Holds) {
  const MatchCase& c = GetParam();
  const auto table = testing::Compile(
      testing::Config({"1:1"}, std::string("[{priority: 5, conditions: [") + c.condition +
                                   "], action: {fixed_response: {status: 200}}}]"));
  ASSERT_NE(table, nullptr);
  std::string lines = c.request;
  if (lines.find("\r\nHost:") == std::string::npos) lines += "\r\nHost: some.test";
  const auto request = testing::ParseRequest(lines);
  ASSERT_NE(request, nullptr);
  const ListenerSpec& listener = table->load_balancers.at("shop")->listeners[0];
  const Rule* rule = MatchRule(listener, request->head, *ParseIp(c.source));
  ASSERT_NE(rule, nullptr);
  EXPECT_EQ(rule->priority == 5, c.holds);
  EXPECT_EQ(MatchRuleOneByOne(listener.rules, request->head, *ParseIp(c.source)), rule);
}

INSTANTIATE_TEST_SUITE_P(
    Conditions, ConditionTest,
    ::testing::Values(
        MatchCase{"Host", "{host_header: {values: [\"*.shop.test\"]}}",
                  "GET / HTTP/1.1\r\nHost: WWW.shop.TEST:8080", "1.2.3.4", true},
        MatchCase{"OtherHost", "{host_header: {values: [\"*.shop.test\"]}}",
                  "GET / HTTP/1.1\r\nHost: shop.test", "1.2.3.4", false},
        MatchCase{"HostWithFinalDot", "{host_header: {values: [shop.test]}}",
                  "GET / HTTP/1.1\r\nHost: shop.test.:80", "1.2.3.4", true},
        MatchCase{"HostOfSixBytes", "{host_header: {values: [\"[::1]\"]}}",
                  "GET / HTTP/1.1\r\nHost: [::1]:80", "1.2.3.4", true},
        MatchCase{"HostRegex", "{host_header: {regex_values: [\"(www|api)[.]shop[.]test\"]}}",
                  "GET / HTTP/1.1\r\nHost: API.shop.test:80", "1.2.3.4", true},
        MatchCase{"HostRegexIsWhole", "{host_header: {regex_values: [\"shop\"]}}",
                  "GET / HTTP/1.1\r\nHost: shop.test", "1.2.3.4", false},
        MatchCase{"Path", "{path_pattern: {values: [\"/x\", \"/a/*\"]}}", "GET /a/b?c HTTP/1.1",
                  "1.2.3.4", true},
        MatchCase{"PathIsCanonical", "{path_pattern: {values: [/admin]}}",
                  "GET /%61dmi%6E HTTP/1.1", "1.2.3.4", true},
        MatchCase{"PathPatternIsCanonical", "{path_pattern: {values: [\"/%7euser/caf%c3%a9*\"]}}",
                  "GET /~user/caf%C3%a9s HTTP/1.1", "1.2.3.4", true},
        MatchCase{"EscapesOfAPattern", "{path_pattern: {values: [\"/a%3fb\"]}}",
                  "GET /a%3Fb HTTP/1.1", "1.2.3.4", true},
        MatchCase{"SlashesAreMerged", "{path_pattern: {values: [\"/a/b\"]}}", "GET //a//b HTTP/1.1",
                  "1.2.3.4", true},
        MatchCase{"PathCase", "{path_pattern: {values: [\"/A/*\"]}}", "GET /a/b HTTP/1.1",
                  "1.2.3.4", false},
        MatchCase{"PathRegex", "{path_pattern: {regex_values: [\"/v[0-9]+/.*\"]}}",
                  "GET /v12/x?y HTTP/1.1", "1.2.3.4", true},
        MatchCase{"PathRegexCase", "{path_pattern: {regex_values: [\"/v[0-9]+/.*\"]}}",
                  "GET /V12/x HTTP/1.1", "1.2.3.4", false},
        MatchCase{"PathRegexIsWhole", "{path_pattern: {regex_values: [\"/v[0-9]+\"]}}",
                  "GET /v12/x HTTP/1.1", "1.2.3.4", false},
        MatchCase{"PathRegexAlternativesAreWhole", "{path_pattern: {regex_values: [\"/a|/b\"]}}",
                  "GET /b HTTP/1.1", "1.2.3.4", true},
        MatchCase{"PathRegexAlternativesAreNotPrefixes",
                  "{path_pattern: {regex_values: [\"/a|/b\"]}}", "GET /ab HTTP/1.1", "1.2.3.4",
                  false},
        MatchCase{"Method", "{http_request_method: {values: [PUT, POST]}}", "POST / HTTP/1.1",
                  "1.2.3.4", true},
        MatchCase{"OtherMethod", "{http_request_method: {values: [PUT]}}", "POST / HTTP/1.1",
                  "1.2.3.4", false},
        MatchCase{"UnknownMethod", "{http_request_method: {values: [PURGE]}}", "PURGE / HTTP/1.1",
                  "1.2.3.4", true},
        MatchCase{"OtherUnknownMethod", "{http_request_method: {values: [PURGE]}}",
                  "BAN / HTTP/1.1", "1.2.3.4", false},
        MatchCase{"Header", "{http_header: {http_header_name: x-team, values: [\"b*\"]}}",
                  "GET / HTTP/1.1\r\nX-Team: Blue", "1.2.3.4", true},
        MatchCase{"SecondHeaderLine", "{http_header: {http_header_name: x-team, values: [\"b*\"]}}",
                  "GET / HTTP/1.1\r\nX-Team: red\r\nx-team: Blue", "1.2.3.4", true},
        MatchCase{"NoHeader", "{http_header: {http_header_name: x-team, values: [\"*\"]}}",
                  "GET / HTTP/1.1", "1.2.3.4", false},
        MatchCase{"HeaderRegex",
                  "{http_header: {http_header_name: x-team, regex_values: [\"[a-c]+\"]}}",
                  "GET / HTTP/1.1\r\nX-Team: abc", "1.2.3.4", true},
        MatchCase{"HeaderRegexCase",
                  "{http_header: {http_header_name: x-team, regex_values: [\"[a-c]+\"]}}",
                  "GET / HTTP/1.1\r\nX-Team: ABC", "1.2.3.4", false},
        MatchCase{"HeaderRegexOnBytes",
                  "{http_header: {http_header_name: x-team, regex_values: [\"..\"]}}",
                  "GET / HTTP/1.1\r\nX-Team: \xc3\x28", "1.2.3.4", true},
        MatchCase{"Query", "{query_string: {values: [{key: v, value: \"2*\"}]}}",
                  "GET /?a=1&V=2b HTTP/1.1", "1.2.3.4", true},
        MatchCase{"QueryAnyKey", "{query_string: {values: [{value: \"2\"}]}}", "GET /?z=2 HTTP/1.1",
                  "1.2.3.4", true},
        MatchCase{"QueryWildKey", "{query_string: {values: [{key: \"v*\", value: \"2\"}]}}",
                  "GET /?vx=2 HTTP/1.1", "1.2.3.4", true},
        MatchCase{"QueryIsDecoded", "{query_string: {values: [{key: admin, value: \"a b\"}]}}",
                  "GET /?%61dmin=A+%62 HTTP/1.1", "1.2.3.4", true},
        MatchCase{"QueryEscapedStar", "{query_string: {values: [{key: v, value: \"a\\\\*\"}]}}",
                  "GET /?v=ab HTTP/1.1", "1.2.3.4", false},
        MatchCase{"QueryWithoutValue", "{query_string: {values: [{key: v}]}}", "GET /?v HTTP/1.1",
                  "1.2.3.4", true},
        MatchCase{"NoQuery", "{query_string: {values: [{key: v, value: \"2\"}]}}",
                  "GET /?v=3 HTTP/1.1", "1.2.3.4", false},
        MatchCase{"Source", "{source_ip: {values: [\"10.0.0.0/8\"]}}", "GET / HTTP/1.1",
                  "10.255.0.1", true},
        MatchCase{"OtherSource", "{source_ip: {values: [\"10.0.0.0/9\"]}}", "GET / HTTP/1.1",
                  "10.255.0.1", false},
        MatchCase{"Source6", "{source_ip: {values: [\"2001:db8::/32\"]}}", "GET / HTTP/1.1",
                  "2001:db8:1::1", true},
        MatchCase{"AllOf6", "{source_ip: {values: [\"::/0\"]}}", "GET / HTTP/1.1", "2001:db8:1::1",
                  true},
        MatchCase{"AllOf6IsNotOf4", "{source_ip: {values: [\"::/0\"]}}", "GET / HTTP/1.1",
                  "10.0.0.1", false},
        MatchCase{"WideOf6IsNotOf4", "{source_ip: {values: [\"::/80\"]}}", "GET / HTTP/1.1",
                  "10.0.0.1", false},
        MatchCase{"LocalOf6", "{source_ip: {values: [\"::/80\"]}}", "GET / HTTP/1.1", "::1", true},
        MatchCase{"AllOf4", "{source_ip: {values: [\"0.0.0.0/0\"]}}", "GET / HTTP/1.1", "10.0.0.1",
                  true},
        MatchCase{"AllOf4IsNotOf6", "{source_ip: {values: [\"0.0.0.0/0\"]}}", "GET / HTTP/1.1",
                  "2001:db8::1", false},
        MatchCase{"Mapped", "{source_ip: {values: [\"::ffff:10.0.0.0/104\"]}}", "GET / HTTP/1.1",
                  "10.0.0.1", true}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace remuda::proxy
