#include "agent/site_path.h"

#include <gtest/gtest.h>

#include <string>

namespace remuda::agent {
namespace {

TEST(SitePath, ByTable) {
  struct Case {
    const char* target;
    int status;
    const char* path;
    bool is_directory;
  };
  const Case cases[] = {
      {"/", 0, "", true},
      {"/index.html", 0, "index.html", false},
      {"/a/b.css?v=1#x", 0, "a/b.css", false},
      {"/a/", 0, "a", true},
      {"//a//b", 0, "a/b", false},
      {"/./a/.", 0, "a", true},
      {"/a%20b/%C3%A4", 0, "a b/\xc3\xa4", false},
      {"/.well-known/acme", 0, ".well-known/acme", false},
      {"/a..b/...", 404, "", false},
      {"/..", 400, "", false},
      {"/a/../../etc/passwd", 400, "", false},
      {"/%2e%2e/etc", 400, "", false},
      {"/a%2f..%2fb", 400, "", false},
      {"/a%2fb", 0, "a/b", false},
      {"/.git/config", 404, "", false},
      {"/%2egit", 404, "", false},
      {"/a%00b", 400, "", false},
      {"/a%0d%0ab", 400, "", false},
      {"/a\tb", 400, "", false},
      {"/%", 400, "", false},
      {"/%4", 400, "", false},
      {"/%zz", 400, "", false},
      {"", 400, "", false},
      {"a", 400, "", false},
      {"http://host/a", 400, "", false},
      {"?x", 400, "", false},
      {"*", 400, "", false},
  };
  for (const Case& c : cases) {
    const SitePath got = SitePathOf(c.target);
    EXPECT_EQ(got.status, c.status) << c.target;
    EXPECT_EQ(got.path, c.path) << c.target;
    EXPECT_EQ(got.is_directory && got.status == 0, c.is_directory) << c.target;
  }
  EXPECT_EQ(SitePathOf("/" + std::string(kMaxSitePathBytes, 'a')).status, 414);
}

TEST(SitePath, RangesByTable) {
  struct Case {
    const char* header;
    uint64_t size;
    bool is_unsatisfiable;
    int64_t first, bytes;  // -1: all of it
  };
  const Case cases[] = {
      {"bytes=0-0", 10, false, 0, 1},
      {"bytes=2-5", 10, false, 2, 4},
      {"bytes=2-", 10, false, 2, 8},
      {"bytes=-3", 10, false, 7, 3},
      {"bytes=-30", 10, false, 0, 10},
      {"bytes=5-100", 10, false, 5, 5},
      {" Bytes=1-1 ", 10, false, 1, 1},
      {"bytes=10-", 10, true, -1, -1},
      {"bytes=-0", 10, true, -1, -1},
      {"bytes=0-", 0, true, -1, -1},
      {"bytes=-1", 0, true, -1, -1},
      {"bytes=5-2", 10, false, -1, -1},
      {"bytes=0-1,3-4", 10, false, -1, -1},
      {"bytes=", 10, false, -1, -1},
      {"bytes=-", 10, false, -1, -1},
      {"bytes=a-b", 10, false, -1, -1},
      {"bytes=1-b", 10, false, -1, -1},
      {"lines=0-1", 10, false, -1, -1},
      {"", 10, false, -1, -1},
      {"bytes=99999999999999999999999-", 10, true, -1, -1},
      {"bytes=0-99999999999999999999999", 10, false, 0, 10},
  };
  for (const Case& c : cases) {
    const RangeWanted got = RangeOf(c.header, c.size);
    EXPECT_EQ(got.is_unsatisfiable, c.is_unsatisfiable) << c.header;
    EXPECT_EQ(got.range ? static_cast<int64_t>(got.range->first) : -1, c.first) << c.header;
    EXPECT_EQ(got.range ? static_cast<int64_t>(got.range->bytes) : -1, c.bytes) << c.header;
  }
}

TEST(SitePath, TagsAndTypes) {
  EXPECT_TRUE(HasTag("\"a\"", "\"a\""));
  EXPECT_TRUE(HasTag("\"b\", W/\"a\" ,\"c\"", "\"a\""));
  EXPECT_TRUE(HasTag(" * ", "\"a\""));
  EXPECT_FALSE(HasTag("", "\"a\""));
  EXPECT_FALSE(HasTag("\"ab\",,", "\"a\""));
  EXPECT_EQ(ContentTypeOf("a/INDEX.HTML"), "text/html; charset=utf-8");
  EXPECT_EQ(ContentTypeOf("a.b/c"), "application/octet-stream");
  EXPECT_EQ(ContentTypeOf("x.svg"), "image/svg+xml");
}

}  // namespace
}  // namespace remuda::agent
