// Rules that are refused, and with which words.
#include <gtest/gtest.h>

#include "tests/unit/proxy/core/tables.h"

namespace remuda::proxy {
namespace {

struct RuleRefusal {
  const char* name;
  const char* rule;  // YAML of a rule of priority 1 but for what is not given here
  const char* reason;
};

constexpr char kAction[] = "action: {fixed_response: {status: 200}}";
constexpr char kCondition[] = "conditions: [{path_pattern: {values: [/a]}}]";

CompileResult TryRule(const std::string& rule, const std::string& listener) {
  v1::ConfigUpdate update;
  std::string text =
      "upserts: {target_groups: [{name: blue}], load_balancers: [{name: x, listeners: [{port: "
      "81, " +
      listener + "rules: [{priority: 1, " + rule;
  if (rule.find("conditions:") == std::string::npos) text += std::string(", ") + kCondition;
  if (rule.find("action:") == std::string::npos) text += std::string(", ") + kAction;
  text += "}], default_action: {fixed_response: {status: 404}}}]}]}";
  const absl::Status status = ParseMessageYaml(text, "test", &update);
  EXPECT_TRUE(status.ok()) << status;
  return testing::TryCompile(update);
}

class RuleRefusalTest : public ::testing::TestWithParam<RuleRefusal> {};

TEST_P(RuleRefusalTest, NamesFieldValueAndRule) {
  const CompileResult result = TryRule(GetParam().rule, "");
  const auto* error = std::get_if<ConfigError>(&result);
  ASSERT_NE(error, nullptr);
  EXPECT_EQ(error->resource, "loadBalancers/x");
  EXPECT_EQ(error->reason.find("listener 81: rule 1: "), 0U) << error->reason;
  EXPECT_NE(error->reason.find(GetParam().reason), std::string::npos) << error->reason;
}

INSTANTIATE_TEST_SUITE_P(
    Rules, RuleRefusalTest,
    ::testing::Values(
        RuleRefusal{"NoCondition", "conditions: []", "conditions: 0 is not within 1-5"},
        RuleRefusal{"TooManyValues",
                    "conditions: [{path_pattern: {values: [/1, /2, /3, /4, /5, /6]}}]",
                    "path_pattern.values: 6 is not within 1-5"},
        RuleRefusal{"BadEscape", "conditions: [{path_pattern: {values: [\"/100%\"]}}]",
                    "path_pattern.values: '/100%': an escape is '%' and two hex digits, not 00"},
        RuleRefusal{
            "HeaderOfOurs",
            "conditions: [{http_header: {http_header_name: x-amzn-mtls-clientcert-subject, values: "
            "[\"CN=admin\"]}}]",
            "is made by the proxy, for the target"},
        RuleRefusal{"BadPathRegex", "conditions: [{path_pattern: {regex_values: [\"/(a\"]}}]",
                    "path_pattern.regex_values: '/(a': missing ): /(a"},
        RuleRefusal{"BadHostRegex", "conditions: [{host_header: {regex_values: [\"a**\"]}}]",
                    "host_header.regex_values: 'a**': bad repetition operator: **"},
        RuleRefusal{"LookAhead", "conditions: [{path_pattern: {regex_values: [\"/(?=a)\"]}}]",
                    "path_pattern.regex_values: '/(?=a)': invalid perl operator: (?="},
        RuleRefusal{
            "LargeRegex",
            "conditions: [{path_pattern: {regex_values: [\"((a{1,100}){1,100}){1,100}\"]}}]",
            "path_pattern.regex_values: '((a{1,100}){1,100}){1,100}': "},
        RuleRefusal{"EmptyRegex", "conditions: [{path_pattern: {regex_values: [\"\"]}}]",
                    "path_pattern.regex_values: an empty pattern"},
        RuleRefusal{"HeaderWithoutValues", "conditions: [{http_header: {http_header_name: x}}]",
                    "http_header: either values or regex_values must be set"},
        RuleRefusal{
            "HeaderWithBoth",
            "conditions: [{http_header: {http_header_name: x, values: [a], regex_values: [b]}}]",
            "http_header: either values or regex_values must be set"},
        RuleRefusal{"HeaderName",
                    "conditions: [{http_header: {http_header_name: \"x y\", values: [a]}}]",
                    "http_header.http_header_name: 'x y' is not a header name"},
        RuleRefusal{"Method", "conditions: [{http_request_method: {values: [\"G*\"]}}]",
                    "http_request_method.values: 'G*' is not a method"},
        RuleRefusal{"Query", "conditions: [{query_string: {values: [{}]}}]",
                    "query_string.values: key or value must be set"},
        RuleRefusal{"NoKind", "conditions: [{}]", "one of host_header, path_pattern, http_header"},
        RuleRefusal{"NoValues", "conditions: [{path_pattern: {}}]",
                    "path_pattern: either values or regex_values must be set"},
        RuleRefusal{"NoSources", "conditions: [{source_ip: {}}]",
                    "source_ip.values: 0 is not within 1-5"},
        RuleRefusal{"BothOfOneKind",
                    "conditions: [{path_pattern: {values: [/a], regex_values: [/a]}}]",
                    "path_pattern: either values or regex_values must be set"},
        RuleRefusal{"GroupTwice",
                    "action: {forward: {target_groups: [{target_group: blue}, {target_group: "
                    "targetGroups/blue}]}}",
                    "'blue' is there twice"},
        RuleRefusal{"BodyOf204", "action: {fixed_response: {status: 204, body: x}}",
                    "fixed_response.body: a 204 has no body"},
        RuleRefusal{"ContentType", "action: {fixed_response: {status: 200, content_type: html}}",
                    "fixed_response.content_type: 'html' is not a media type"},
        RuleRefusal{"RedirectStatus", "action: {redirect: {status: 307, path: /x}}",
                    "redirect.status: 307 is neither 301 nor 302"},
        RuleRefusal{"RedirectProtocol", "action: {redirect: {protocol: ftp}}",
                    "redirect.protocol: 'ftp' is not HTTP, HTTPS or #{protocol}"},
        RuleRefusal{"RedirectHost", "action: {redirect: {host: \"a/b\"}}",
                    "redirect.host: 'a/b' holds a character"},
        RuleRefusal{"RedirectPort", "action: {redirect: {port: \"65536\"}}",
                    "redirect.port: '65536' is neither"},
        RuleRefusal{"RedirectPortText", "action: {redirect: {port: \"4#{port}\"}}",
                    "redirect.port: '4#{port}' is neither"},
        RuleRefusal{"RedirectPath", "action: {redirect: {path: x}}",
                    "redirect.path: 'x' does not start with '/'"},
        RuleRefusal{"RedirectPathText", "action: {redirect: {path: \"/a?b\"}}",
                    "redirect.path: '/a?b' holds a character"},
        RuleRefusal{"UnknownPlaceholder", "action: {redirect: {path: \"/#{user}\"}}",
                    "redirect.path: '#{user}' is not a placeholder that may stand here"},
        RuleRefusal{"OpenPlaceholder", "action: {redirect: {path: \"/#{path\"}}",
                    "redirect.path: '#{path' is not a placeholder"},
        RuleRefusal{"PlaceholderOfAnotherPart", "action: {redirect: {host: \"#{path}\"}}",
                    "redirect.host: '#{path}' is not a placeholder that may stand here; these may: "
                    "#{host}"},
        RuleRefusal{"RewriteOfAFixedResponse",
                    "transforms: [{url_rewrite: {regex: a, replace: b}}]",
                    "transforms: only a request that is forwarded can be rewritten"},
        RuleRefusal{"RewriteTwice",
                    "action: {forward: {target_groups: [{target_group: blue}]}}, transforms: "
                    "[{url_rewrite: {regex: a, replace: b}}, {url_rewrite: {regex: c}}]",
                    "transforms: url_rewrite is there twice"},
        RuleRefusal{"EmptyTransform",
                    "action: {forward: {target_groups: [{target_group: blue}]}}, transforms: [{}]",
                    "transforms: one of host_header_rewrite and url_rewrite must be set"},
        RuleRefusal{"RewriteRegex",
                    "action: {forward: {target_groups: [{target_group: blue}]}}, transforms: "
                    "[{host_header_rewrite: {regex: \"(\", replace: b}}]",
                    "transforms.host_header_rewrite.regex: '(': missing )"},
        RuleRefusal{"RewriteGroup",
                    "action: {forward: {target_groups: [{target_group: blue}]}}, transforms: "
                    "[{url_rewrite: {regex: \"(a)\", replace: $2}}]",
                    "transforms.url_rewrite.replace: '$2' names group 2, the regex has 1"},
        RuleRefusal{"RewriteDollar",
                    "action: {forward: {target_groups: [{target_group: blue}]}}, transforms: "
                    "[{url_rewrite: {regex: a, replace: $x}}]",
                    "transforms.url_rewrite.replace: '$x': '$' stands before"},
        RuleRefusal{"ToItself", "action: {redirect: {}}", "redirect: leads to itself"},
        RuleRefusal{"ToItselfInOtherWords",
                    "action: {redirect: {protocol: HTTP, host: \"#{host}\", port: \"81\", path: "
                    "\"/#{path}\", query: \"#{query}\"}}",
                    "redirect: leads to itself"}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace remuda::proxy
