// A rule on a path holds for every spelling of it, and what is matched is what is forwarded.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

constexpr const char* kRules =
    "        rules:\n"
    "          - { priority: 1, conditions: [{ pathPattern: { values: [\"/admin\", \"/admin/*\"] } "
    "}],\n"
    "              action: { fixedResponse: { status: 403, body: no } } }\n";

// The target says which path it was asked for.
ScriptedTarget::Script SaysPath() {
  return [](const std::string& head, RawSocket& connection) {
    const size_t begin = head.find(' ') + 1;
    return ScriptedTarget::Answers(head.substr(begin, head.find(' ', begin) - begin))("",
                                                                                      connection);
  };
}

class PathRulesTest : public ::testing::Test {
 protected:
  void Start(const std::string& normalization) {
    const std::string extra =
        normalization.empty() ? "" : "    pathNormalization: { " + normalization + " }\n";
    proxy_ = std::make_unique<ServingProxy>(ConfigFor({target_.port()}, "", extra, kRules));
  }
  // The path that reached the target, or the proxy's own status.
  std::string Ask(const std::string& path) {
    const std::string answer = Get(proxy_->Port(), path);
    return StatusOf(answer) == 200 ? BodyOf(answer) : std::to_string(StatusOf(answer));
  }

  ScriptedTarget target_{SaysPath()};
  std::unique_ptr<ServingProxy> proxy_;
};

TEST_F(PathRulesTest, NoSpellingPassesByARule) {
  Start("");
  for (const char* path : {"/admin/x", "//admin/x", "/admin//x", "/%61dmin/x"})
    EXPECT_EQ(Ask(path), "403") << path;
  for (const char* path :
       {"/admin%2Fx", "/x/..;/admin/x", "/;/admin/x", "/x/../admin/x", "/admin%5cx", "/admin\\x"})
    EXPECT_EQ(Ask(path), "400") << path;
  EXPECT_EQ(Ask("/a//b;c=d/?e=%2f"), "/a/b;c=d/?e=%2f");
}

TEST_F(PathRulesTest, WhatIsDecodedOrTakenOffIsNeitherMatchedNorForwarded) {
  Start("escapedSlashes: ESCAPED_SLASHES_DECODE, pathParameters: PATH_PARAMETERS_STRIP");
  for (const char* path : {"/admin%2Fx", "/admin;a/x", "/;/admin/x", "/admin;"})
    EXPECT_EQ(Ask(path), "403") << path;
  EXPECT_EQ(Ask("/a%2fb;c=d"), "/a/b");
}

TEST_F(PathRulesTest, WhatIsKeptIsForwardedAsItWasMatched) {
  Start("mergeSlashes: false, escapedSlashes: ESCAPED_SLASHES_KEEP");
  EXPECT_EQ(Ask("//admin/x"), "//admin/x");
  EXPECT_EQ(Ask("/group%2fproject"), "/group%2Fproject");
}

// What docs/proxy.md says of each setting, "Paths", as a rule for `/admin/*` meets it: 403, or the
// path that reaches the target.
struct Setting {
  const char* name;
  const char* normalization;
  std::vector<std::pair<const char*, const char*>> asked;
};

class PathSettingTest : public PathRulesTest, public ::testing::WithParamInterface<Setting> {};

TEST_P(PathSettingTest, IsAsDocumented) {
  Start(GetParam().normalization);
  for (const auto& [path, got] : GetParam().asked) EXPECT_EQ(Ask(path), got) << path;
}

INSTANTIATE_TEST_SUITE_P(
    Settings, PathSettingTest,
    ::testing::Values(
        // A servlet container takes the first three for /admin/x.
        Setting{"Default",
                "",
                {{"/admin;a/x", "/admin;a/x"},
                 {"/admin;/x", "/admin;/x"},
                 {"/admin;a=b;c/x", "/admin;a=b;c/x"},
                 {"/admin/x;a", "403"},
                 {"/x/..;/admin/x", "400"},
                 {"/;/admin/x", "400"},
                 {"/admin%2fx", "400"},
                 {"/admin%5cx", "400"},
                 {"//admin//x", "403"},
                 {"/admin%252fx", "/admin%252fx"}}},
        Setting{"SlashesApart",
                "mergeSlashes: false",
                {{"//admin/x", "//admin/x"}, {"/admin//x", "403"}, {"/admin/x", "403"}}},
        Setting{"EscapedSlashesKept",
                "escapedSlashes: ESCAPED_SLASHES_KEEP",
                {{"/admin%2fx", "/admin%2Fx"},
                 {"/admin%5cx", "/admin%5Cx"},
                 {"/admin/%2fx", "403"},
                 {"/%2fadmin/x", "/%2Fadmin/x"}}},
        Setting{"EscapedSlashesDecoded",
                "escapedSlashes: ESCAPED_SLASHES_DECODE",
                {{"/admin%2fx", "403"},
                 {"/%2fadmin%2f%2fx", "403"},
                 {"/x%2f..%2fadmin/x", "400"},
                 {"/admin%5cx", "400"},
                 {"/admin%252fx", "/admin%252fx"}}},
        Setting{"EscapedSlashesDecodedApart",
                "escapedSlashes: ESCAPED_SLASHES_DECODE, mergeSlashes: false",
                {{"/%2fadmin/x", "//admin/x"}, {"/admin%2fx", "403"}}},
        Setting{"ParametersRefused",
                "pathParameters: PATH_PARAMETERS_REFUSE",
                {{"/admin;a/x", "400"}, {"/a;", "400"}, {"/a?b;c", "/a?b;c"}, {"/admin/x", "403"}}},
        Setting{"ParametersTakenOff",
                "pathParameters: PATH_PARAMETERS_STRIP",
                {{"/admin;a/x", "403"},
                 {"/admin;a=b;c/x;d", "403"},
                 {"/;/admin/x", "403"},
                 {"/x/..;/admin/x", "400"},
                 {"/a;b/c;d?e;f", "/a/c?e;f"}}},
        Setting{"ParametersKept",
                "pathParameters: PATH_PARAMETERS_KEEP",
                {{"/admin;a/x", "/admin;a/x"},
                 {"/x/..;/admin/x", "/x/..;/admin/x"},
                 {"/admin/x;a", "403"}}}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace remuda::proxy::testing
