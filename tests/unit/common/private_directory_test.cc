#include "common/private_directory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace remuda {
namespace {

namespace fs = std::filesystem;

class PrivateDirectoryTest : public testing::Test {
 protected:
  PrivateDirectoryTest() {
    char path[] = "/tmp/remuda-private-XXXXXX";
    if (mkdtemp(path) == nullptr) std::abort();
    root_ = path;
  }
  ~PrivateDirectoryTest() override { fs::remove_all(root_); }

  // A directory of this mode that holds a file.
  std::string Make(const std::string& name, unsigned mode, const std::string& file) {
    const std::string path = root_ + "/" + name;
    fs::create_directories(path);
    if (!file.empty()) std::ofstream(path + "/" + file) << "x";
    fs::permissions(path, fs::perms(mode));
    return path;
  }
  static unsigned ModeOf(const std::string& path) {
    return static_cast<unsigned>(fs::status(path).permissions()) & 07777;
  }

  std::string root_;
};

TEST_F(PrivateDirectoryTest, IsMadeClosedAndClosedIfItIsOurs) {
  const mode_t before = umask(0);
  const std::string made = root_ + "/a/b";
  EXPECT_FALSE(*MakePrivateDirectory(made, "ours", "--data-dir"));
  EXPECT_EQ(ModeOf(made), 0700U);
  umask(before);
  EXPECT_FALSE(*MakePrivateDirectory(made, "ours", "--data-dir")) << "a second time";
  for (const char* file : {"", "ours"}) {
    const std::string open = Make(std::string("open-") + file, 0755, file);
    EXPECT_TRUE(*MakePrivateDirectory(open, "ours", "--data-dir"));
    EXPECT_EQ(ModeOf(open), 0700U);
  }
}

TEST_F(PrivateDirectoryTest, WhatOthersMayUseIsRefusedAndLeft) {
  const std::string shared = Make("shared", 0755, "theirs");
  const auto result = MakePrivateDirectory(shared, "ours", "--data-dir");
  ASSERT_EQ(result.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(result.status().message().find("--data-dir " + shared), absl::string_view::npos);
  EXPECT_NE(result.status().message().find("0755"), absl::string_view::npos);
  EXPECT_EQ(ModeOf(shared), 0755U);
  const std::string closed = Make("closed", 0700, "theirs");
  EXPECT_TRUE(MakePrivateDirectory(closed, "ours", "--data-dir").ok());
  const std::string file = Make("x", 0755, "file") + "/file";
  EXPECT_FALSE(MakePrivateDirectory(file, "ours", "--data-dir").ok()) << "no directory";
}

TEST_F(PrivateDirectoryTest, AFileLosesTheRightsOfOthers) {
  const std::string file = Make("d", 0700, "f") + "/f";
  fs::permissions(file, fs::perms(0644));
  EXPECT_TRUE(*MakePrivateFile(file));
  EXPECT_EQ(ModeOf(file), 0600U);
  EXPECT_FALSE(*MakePrivateFile(file));
  EXPECT_FALSE(*MakePrivateFile(root_ + "/missing"));
  EXPECT_FALSE(MakePrivateFile(root_).ok()) << "no file";
}

}  // namespace
}  // namespace remuda
