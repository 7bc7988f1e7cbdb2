#include "common/app_paths.h"

#include <gtest/gtest.h>

#include <string>

namespace remuda {
namespace {

TEST(AppPaths, ByTable) {
  for (const char* good : {"/data", "/srv/a b/c", "/a/...", "/a/.x"})
    EXPECT_EQ(WrongWithHostPath(good), "") << good;
  for (const std::string& bad :
       {std::string(), std::string("/"), std::string("a"), std::string("//"), std::string("/a/"),
        std::string("/a//b"), std::string("/a/./b"), std::string("/.."), std::string("/a/../b"),
        std::string("/a\0b", 4), "/" + std::string(kMaxAppPathBytes + 1, 'a')}) {
    EXPECT_NE(WrongWithHostPath(bad), "") << bad;
  }
  for (const char* good : {"", "public", "a/b", "404.html"})
    EXPECT_EQ(WrongWithImagePath(good), "") << good;
  for (const char* bad : {"/public", "a/", "..", "a/../b", "."})
    EXPECT_NE(WrongWithImagePath(bad), "") << bad;
  EXPECT_EQ(WrongWithFileName("index.html"), "");
  EXPECT_NE(WrongWithFileName("a/index.html"), "");
  EXPECT_EQ(WrongWithCacheControl("public, max-age=60"), "");
  EXPECT_NE(WrongWithCacheControl("a\r\nSet-Cookie: b"), "");
  EXPECT_NE(WrongWithCacheControl(std::string(300, 'a')), "");
  for (const int64_t good : {0, 16, 1'048'576}) EXPECT_EQ(WrongWithOpenFiles(good), "") << good;
  for (const int64_t bad : {-1, 1, 15, 1'048'577}) EXPECT_NE(WrongWithOpenFiles(bad), "") << bad;
  for (const char* good : {"", "1Mi", "10Gi"}) EXPECT_EQ(WrongWithDisk(good), "") << good;
  for (const char* bad : {"0", "1023Ki", "x"}) EXPECT_NE(WrongWithDisk(bad), "") << bad;
}

}  // namespace
}  // namespace remuda
