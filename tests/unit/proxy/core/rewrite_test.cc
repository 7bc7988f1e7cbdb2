// Rewrites: what is forwarded instead of what came.
#include "proxy/core/rewrite.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/unit/proxy/core/requests.h"
#include "tests/unit/proxy/core/tables.h"

namespace remuda::proxy {
namespace {

std::shared_ptr<const Rewrites> RewritesOf(const std::string& transforms) {
  const auto table = testing::Compile(testing::Config(
      {"1:1"},
      "[{priority: 5, conditions: [{path_pattern: {values: [\"*\"]}}], action: {forward: "
      "{target_groups: [{target_group: blue}]}}, transforms: [" +
          transforms + "]}]"));
  return table->load_balancers.at("shop")->listeners[0].rules[0].rewrites;
}

struct RewriteCase {
  const char* name;
  const char* transform;
  const char* request;  // "TARGET HOST"
  const char* result;   // "TARGET HOST", "-": as it came; or "refused"
};

class RewriteTest : public ::testing::TestWithParam<RewriteCase> {};

TEST_P(RewriteTest, Makes) {
  const auto rewrites = RewritesOf(GetParam().transform);
  ASSERT_NE(rewrites, nullptr);
  const std::string text = GetParam().request;
  const size_t space = text.find(' ');
  const auto request = testing::ParseRequest("OPTIONS " + text.substr(0, space) +
                                             " HTTP/1.1\r\nHost: " + text.substr(space + 1));
  ASSERT_NE(request, nullptr);
  std::array<char, 200> scratch;
  std::array<char, 200> out;
  Rewritten got;
  std::string result = "refused";
  if (ApplyRewrites(*rewrites, request->head, scratch, out, got)) {
    const auto show = [](std::string_view view) {
      return view.empty() ? std::string("-") : std::string(view);
    };
    result = show(got.target) + " " + show(got.host);
  }
  EXPECT_EQ(result, GetParam().result);
}

INSTANTIATE_TEST_SUITE_P(
    Transforms, RewriteTest,
    ::testing::Values(
        RewriteCase{"Prefix", "{url_rewrite: {regex: \"^/api/(.*)$\", replace: \"/$1\"}}",
                    "/api/v1/x?y=1 a", "/v1/x?y=1 -"},
        RewriteCase{"NotFound", "{url_rewrite: {regex: \"^/api/(.*)$\", replace: \"/$1\"}}",
                    "/web/x a", "- -"},
        RewriteCase{"OnlyTheFirstMatch", "{url_rewrite: {regex: x, replace: y}}", "/x/x a",
                    "/y/x -"},
        RewriteCase{"QueryIntoPath",
                    "{url_rewrite: {regex: \"^/item[?]id=([0-9]+)$\", replace: \"/items/$1\"}}",
                    "/item?id=42 a", "/items/42 -"},
        RewriteCase{"Groups", "{url_rewrite: {regex: \"/(a)/(b)\", replace: \"/$2/$1/$$1\"}}",
                    "/a/b a", "/b/a/$1 -"},
        RewriteCase{"GroupThatTookNoPart", "{url_rewrite: {regex: \"/(a)|b\", replace: \"[$1]\"}}",
                    "/xb a", "/x[] -"},
        RewriteCase{"CaseCounts", "{url_rewrite: {regex: /A, replace: /b}}", "/a a", "- -"},
        RewriteCase{"ResultIsCanonical", "{url_rewrite: {regex: x, replace: \"%61%3f//\"}}",
                    "/x?%61 a", "/a%3F/?%61 -"},
        RewriteCase{"EscapedSlash", "{url_rewrite: {regex: x, replace: \"%2f\"}}", "/x a",
                    "refused"},
        RewriteCase{"Star", "{url_rewrite: {regex: \".*\", replace: /x}}", "* a", "- -"},
        RewriteCase{"NoPath", "{url_rewrite: {regex: \"^/\", replace: \"\"}}", "/x a", "refused"},
        RewriteCase{"DotSegment", "{url_rewrite: {regex: x, replace: \"..\"}}", "/a/x a",
                    "refused"},
        RewriteCase{"DotSegmentByEscape", "{url_rewrite: {regex: x, replace: \"%2e%2E\"}}",
                    "/a/x a", "refused"},
        RewriteCase{"Space", "{url_rewrite: {regex: x, replace: \"a b\"}}", "/x a", "refused"},
        RewriteCase{"Fragment", "{url_rewrite: {regex: x, replace: \"a#b\"}}", "/x a", "refused"},
        RewriteCase{"TooLong",
                    "{url_rewrite: {regex: \"(.*)\", replace: \"$1$1$1$1$1$1$1$1$1$1\"}}",
                    "/0123456789012345678901234567890123456789 a", "refused"},
        RewriteCase{"Host",
                    "{host_header_rewrite: {regex: \"^(.+)[.]shop[.]test\", replace: \"$1.int\"}}",
                    "/ WWW.Shop.test:8080", "- WWW.int:8080"},
        RewriteCase{"EmptyHost", "{host_header_rewrite: {regex: \".*\"}}", "/ a", "refused"},
        RewriteCase{"BadHost", "{host_header_rewrite: {regex: a, replace: \"b/c\"}}", "/ a",
                    "refused"},
        RewriteCase{"Both",
                    "{host_header_rewrite: {regex: a, replace: b}}, {url_rewrite: {regex: x, "
                    "replace: y}}",
                    "/x a", "/y b"}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace remuda::proxy
