#include "agent/assignment_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "agent/record_file.h"

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

class AssignmentFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "remuda-assignment-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    path_ = root_ / "assignment";
  }
  void TearDown() override { fs::remove_all(root_); }

  static v1::AssignmentUpdate Numbered(int64_t sequence) {
    v1::AssignmentUpdate update;
    update.mutable_revision()->set_epoch(1);
    update.mutable_revision()->set_sequence(sequence);
    return update;
  }

  fs::path root_, path_;
};

TEST_F(AssignmentFileTest, TheNewestIsWrittenAndReadBack) {
  AssignmentFile file(path_);
  EXPECT_FALSE(file.Load()->has_value());
  file.Save(Numbered(1));
  file.Save(Numbered(2));
  EXPECT_FALSE(fs::exists(path_)) << "Save does no I/O";
  ASSERT_TRUE(file.Write().ok());
  EXPECT_EQ((*file.Load())->revision().sequence(), 2);
  fs::remove(path_);
  ASSERT_TRUE(file.Write().ok());
  EXPECT_FALSE(fs::exists(path_)) << "nothing new to write";
  EXPECT_FALSE(AssignmentFile(root_ / "no/such/assignment").Load()->has_value());
}

TEST_F(AssignmentFileTest, DamageIsSaidAndNeverTaken) {
  AssignmentFile file(path_);
  file.Save(Numbered(7));
  ASSERT_TRUE(file.Write().ok());
  const std::string good = *ReadWholeFile(path_);
  for (size_t i = 0; i <= good.size(); ++i) {
    std::string bad = i < good.size() ? good : good + "x";
    if (i < good.size()) bad[i] = static_cast<char>(bad[i] ^ 1);
    if (i == good.find('\n')) continue;  // the one byte that means nothing
    std::ofstream(path_, std::ios::binary) << bad;
    EXPECT_EQ(file.Load().status().code(), absl::StatusCode::kDataLoss) << i;
    std::ofstream(path_, std::ios::binary) << good.substr(0, i);
    EXPECT_EQ(file.Load().ok(), i >= good.size()) << i;
  }
}

TEST_F(AssignmentFileTest, AFailedWriteNamesTheFile) {
  AssignmentFile file(root_ / "missing/assignment");
  file.Save(Numbered(1));
  const absl::Status status = file.Write();
  EXPECT_NE(status.message().find("missing/assignment"), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace remuda::agent
