#include "agent/instance_tokens.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/ids.h"

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

class InstanceTokensTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "remuda-tokens-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    for (const char* id : {"i-1", "i-2"}) fs::create_directory(root_ / id);
  }
  void TearDown() override { fs::remove_all(root_); }
  InstanceDir Dir(const std::string& id) const { return {(root_ / id).string()}; }

  fs::path root_;
};

TEST_F(InstanceTokensTest, IsMadeOnceAndNamesItsInstance) {
  InstanceTokens tokens;
  const std::string one = tokens.Ensure("i-1", Dir("i-1")).value();
  const std::string two = tokens.Ensure("i-2", Dir("i-2")).value();
  EXPECT_TRUE(IsSha256Hex(one)) << "64 hexadecimal digits: " << one;
  EXPECT_NE(one, two);
  EXPECT_EQ(tokens.Ensure("i-1", Dir("i-1")), one);
  EXPECT_EQ(tokens.Find(one), "i-1");
  EXPECT_EQ(tokens.Find(two), "i-2");
  EXPECT_EQ(tokens.Find(""), "");
  EXPECT_EQ(tokens.Find(one.substr(1)), "");
  struct stat st {};
  ASSERT_EQ(stat(Dir("i-1").Token().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);

  // A later agent's.
  InstanceTokens later;
  EXPECT_EQ(later.Find(one), "");
  later.Load("i-1", Dir("i-1"));
  EXPECT_EQ(later.Find(one), "i-1");
  EXPECT_EQ(later.Ensure("i-1", Dir("i-1")), one);
  later.Forget("i-1");
  later.Forget("i-1");
  EXPECT_EQ(later.Find(one), "");
}

TEST_F(InstanceTokensTest, WhatIsNoTokenIsReplacedAndWhatCannotBeWrittenIsSaid) {
  std::ofstream(Dir("i-1").Token()) << "cut";
  InstanceTokens tokens;
  tokens.Load("i-1", Dir("i-1"));
  EXPECT_EQ(tokens.Find("cut"), "");
  EXPECT_EQ(tokens.Ensure("i-1", Dir("i-1")).value().size(), InstanceTokens::kTokenDigits);
  EXPECT_EQ(tokens.Ensure("i-3", Dir("i-3")), std::nullopt);
  EXPECT_EQ(errno, ENOENT);
}

}  // namespace
}  // namespace remuda::agent
