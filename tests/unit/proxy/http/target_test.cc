// Paths: what each rule of a load balancer makes of every spelling that targets may read in another
// way.
#include "proxy/http/target.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/http/head_parser.h"
#include "tests/unit/proxy/core/print.h"

namespace remuda::proxy::http {
namespace {

using Slashes = PathRules::EscapedSlashes;
using Parameters = PathRules::Parameters;

constexpr const char* kRefused = nullptr;

struct Case {
  const char* target;
  const char* path;  // kRefused: answered with 400
  const char* query = nullptr;
};

void Judge(const PathRules& rules, std::initializer_list<Case> cases,
           DesyncMode mode = DesyncMode::kStrictest) {
  for (const Case& c : cases) {
    std::string bytes = "GET " + std::string(c.target) + " HTTP/1.1\r\nHost: a\r\n\r\n";
    RequestParser parser;
    RequestHead head;
    ASSERT_EQ(parser.Parse(bytes.data(), bytes.size(), head), ParseStatus::kDone) << c.target;
    const Reason reason = CanonicalizeTarget(head, mode, rules);
    EXPECT_EQ(reason, c.path == kRefused ? Reason::kBadPath : Reason::kNone) << c.target;
    if (reason != Reason::kNone) continue;
    EXPECT_EQ(head.path, c.path == kRefused ? "" : c.path);
    EXPECT_EQ(head.has_query, c.query != nullptr) << c.target;
    EXPECT_EQ(head.query, c.query == nullptr ? "" : c.query);
    // What is forwarded is canonical already.
    std::string again(head.path);
    std::string_view view = again;
    EXPECT_TRUE(CanonicalizeOrigin(view, rules)) << c.target;
    EXPECT_EQ(view, head.path);
  }
}

TEST(Target, HasOneCanonicalForm) {
  Judge({}, {{"/", "/"},
             {"/a/b?c=d?e", "/a/b", "c=d?e"},
             {"/a?", "/a", ""},
             {"/%7euser/%41", "/~user/A"},
             {"/a%c3%20", "/a%C3%20"},
             {"/a.b/..c/...", "/a.b/..c/..."},
             {"/%252e%252fa", "/%252e%252fa"},
             {"/a?../%zz\\", "/a", "../%zz\\"},
             {"/..", kRefused},
             {"/a/./b", kRefused},
             {"/a/%2e%2E/b", kRefused},
             {"/a/.%2e", kRefused},
             {"/a%00", kRefused},
             {"/a%4", kRefused},
             {"/a%", kRefused},
             {"/a%zz", kRefused},
             {"/a\\b", kRefused}});
}

// No spelling of /admin/x reaches a target under another path.
TEST(Target, HidesNoPathByDefault) {
  Judge({}, {{"//admin/x", "/admin/x"},
             {"/admin//x", "/admin/x"},
             {"///admin///x//", "/admin/x/"},
             {"/admin%2Fx", kRefused},
             {"/admin%2fx", kRefused},
             {"/admin%5Cx", kRefused},
             {"/x/..;/admin/x", kRefused},
             {"/x/..;a=b/admin/x", kRefused},
             {"/x/%2e%2E;/admin/x", kRefused},
             {"/x/..%3b/admin/x", kRefused},
             {"/.;/admin/x", kRefused},
             {"/;/admin/x", kRefused},
             {"/;a/admin/x", kRefused},
             {"/..;", kRefused},
             {"/;jsessionid=1", "/;jsessionid=1"},
             {"/a;v=1/b;jsessionid=..", "/a;v=1/b;jsessionid=.."},
             {"/a..;/b", "/a..;/b"},
             {"http://a//admin/x", "/admin/x"}});
}

TEST(Target, KeepsSlashesApartWhereItIsTold) {
  Judge({.merges_slashes = false},
        {{"//a//b", "//a//b"}, {"/a/b/", "/a/b/"}, {"/a//../b", kRefused}});
  Judge({.merges_slashes = false}, {{"/a//../b", "/a/b"}}, DesyncMode::kDefensive);
  Judge({}, {{"/a//../b", "/b"}, {"//..", kRefused}, {"/a/.//../b", "/b"}}, DesyncMode::kDefensive);
}

TEST(Target, KeepsEscapedSlashesWhereItIsTold) {
  Judge({.escaped_slashes = Slashes::kKeep},
        {{"/a%2fb%5cc", "/a%2Fb%5Cc"}, {"/a%2f..%2fb", "/a%2F..%2Fb"}, {"/%2f/a", "/%2F/a"}});
}

TEST(Target, DecodesEscapedSlashesBeforeAllElse) {
  const PathRules rules{.escaped_slashes = Slashes::kDecode};
  Judge(rules, {{"/admin%2fx", "/admin/x"},
                {"/%2fadmin%2F%2fx", "/admin/x"},
                {"/a%2f..%2fb", kRefused},
                {"/a%2f%2e%2e/b", kRefused},
                {"/a%5cb", kRefused}});
  Judge(rules, {{"/x%2f..%2fadmin/x", "/admin/x"}, {"/..%2fa", kRefused}}, DesyncMode::kMonitor);
}

TEST(Target, TakesParametersOffWhereItIsTold) {
  const PathRules rules{.parameters = Parameters::kStrip};
  Judge(rules, {{"/a;v=1/b;jsessionid=1?c;d", "/a/b", "c;d"},
                {"/;/admin/x", "/admin/x"},
                {"/admin;/x", "/admin/x"},
                {"/admin;a%41;b/x", "/admin/x"},
                {"/;jsessionid=1", "/"},
                {"/a;", "/a"},
                {"/x/..;/admin", kRefused},
                {"/x/..%3b/admin", kRefused},
                {"/a%3bb", "/a%3Bb"},
                {"/a;%zz/b", kRefused}});
  Judge(rules, {{"/x/..;v/admin", "/admin"}, {"/..;/admin", kRefused}}, DesyncMode::kDefensive);
}

TEST(Target, RefusesOrKeepsParametersWhereItIsTold) {
  Judge({.parameters = Parameters::kRefuse},
        {{"/a;v=1", kRefused}, {"/a%3bv", kRefused}, {"/a?b;c", "/a", "b;c"}});
  Judge({.parameters = Parameters::kKeep}, {{"/x/..;/y", "/x/..;/y"}, {"/;/y", "/;/y"}});
}

}  // namespace
}  // namespace remuda::proxy::http
