#include "agent/disk_use.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kNoEnd = int64_t{1} << 40;

class DiskUseTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "remuda-disk-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    fs::create_directories(root_ / "a/b");
    fs::create_directories(root_ / "other");
  }
  void TearDown() override { fs::remove_all(root_); }
  void Write(const fs::path& path, int64_t bytes) const {
    std::ofstream(path, std::ios::binary) << std::string(static_cast<size_t>(bytes), 'x');
    sync();  // some file systems give blocks late
  }
  DiskUse Use() const { return DiskUseOf({root_ / "a", root_ / "none"}, kNoEnd); }

  fs::path root_;
};

TEST_F(DiskUseTest, CountsBlocksAndEachFileOnce) {
  const int64_t before = Use().bytes;
  Write(root_ / "a/b/file", kMiB);
  EXPECT_GE(Use().bytes, before + kMiB);
  EXPECT_LT(Use().bytes, before + kMiB + kMiB / 4);
  fs::create_hard_link(root_ / "a/b/file", root_ / "a/again");
  EXPECT_LT(Use().bytes, before + kMiB + kMiB / 4);
  Write(root_ / "a/hole", 1);
  fs::resize_file(root_ / "a/hole", 64 * kMiB);
  EXPECT_LT(Use().bytes, before + 2 * kMiB);
}

TEST_F(DiskUseTest, GoesThroughNoLink) {
  Write(root_ / "other/file", 4 * kMiB);
  fs::create_directory_symlink(root_ / "other", root_ / "a/link");
  fs::create_symlink(root_ / "other/file", root_ / "a/file");
  EXPECT_LT(Use().bytes, kMiB);
}

TEST_F(DiskUseTest, EndsAboveWhatIsEnough) {
  for (int i = 0; i < 100; ++i) Write(root_ / "a" / std::to_string(i), 64 * 1024);
  const DiskUse use = DiskUseOf({root_ / "a"}, kMiB);
  EXPECT_GT(use.bytes, kMiB);
  EXPECT_LT(use.entries, 100);
  EXPECT_NE(OverDisk(use, kMiB).find("over its disk limit"), std::string::npos);
  EXPECT_EQ(OverDisk(use, kNoEnd), "");
}

TEST_F(DiskUseTest, WhatCannotBeLookedThroughCountsAsTooMuch) {
  fs::path deep = root_ / "a";
  for (int i = 0; i <= DiskUse::kMaxDepth; ++i) deep /= "d";
  fs::create_directories(deep);
  EXPECT_NE(OverDisk(Use(), kNoEnd).find("nested deeper"), std::string::npos);
  EXPECT_NE(OverDisk({.entries = DiskUse::kMaxEntries + 1}, kNoEnd).find("files"),
            std::string::npos);
}

}  // namespace
}  // namespace remuda::agent
