// A rule on a path holds for every spelling of it, and what is matched is what is forwarded.
#include <gtest/gtest.h>

#include <string>

#include "tests/component/proxy/configs.h"
#include "tests/component/proxy/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

constexpr const char* kRules =
    "        rules:\n"
    "          - { priority: 1, conditions: [{ pathPattern: [\"/admin\", \"/admin/*\"] }],\n"
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

}  // namespace
}  // namespace remuda::proxy::testing
