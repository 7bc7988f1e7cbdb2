#include "agent/log_files.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

class LogFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "remuda-log-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    dir_ = root_ / "logs";
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string All(LogReader& reader, uint64_t offset) {
    std::string all;
    for (;;) {
      const auto chunk = reader.Read(offset, 7);
      if (chunk.bytes.empty()) return all;
      all += chunk.bytes;
      offset = chunk.offset + chunk.bytes.size();
    }
  }
  uint64_t DiskBytes() {
    uint64_t sum = 0;
    for (const auto& entry : fs::directory_iterator(dir_)) sum += entry.file_size();
    return sum;
  }

  fs::path root_, dir_;
};

TEST_F(LogFiles, WhatIsWrittenIsReadAcrossSegments) {
  LogWriter writer(dir_, {.segment_bytes = 10, .segments = 100});
  LogReader reader(dir_);
  EXPECT_EQ(reader.Read(0, 10).bytes, "");
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    writer.Append(line);
    expected += line;
  }
  EXPECT_EQ(All(reader, 0), expected);
  EXPECT_EQ(All(reader, 33), expected.substr(33));
  EXPECT_EQ(reader.Available().end, expected.size());
  EXPECT_EQ(reader.Read(expected.size(), 10).bytes, "");
}

TEST_F(LogFiles, DiskUseIsBoundedAndTheNewestIsKept) {
  LogWriter writer(dir_, {.segment_bytes = 1000, .segments = 3});
  for (int i = 0; i < 5000; ++i) writer.Append(std::to_string(i) + "\n");
  EXPECT_LE(DiskBytes(), 3000u);
  LogReader reader(dir_);
  const auto range = reader.Available();
  EXPECT_GT(range.begin, 0u);
  const std::string all = All(reader, 0);  // asked for what is gone: begins at the oldest kept
  EXPECT_EQ(all.size(), range.end - range.begin);
  EXPECT_EQ(all.substr(all.size() - 5), "4999\n");
}

TEST_F(LogFiles, AnotherWriterGoesOnWhereTheLastStopped) {
  { LogWriter(dir_, {.segment_bytes = 10, .segments = 9}).Append("hello "); }
  { LogWriter(dir_, {.segment_bytes = 10, .segments = 9}).Append("there world"); }
  LogReader reader(dir_);
  EXPECT_EQ(All(reader, 0), "hello there world");
}

TEST_F(LogFiles, TailFindsTheLastLines) {
  LogWriter writer(dir_, {.segment_bytes = 10, .segments = 100});
  writer.Append("one\ntwo\nthree\nfour\n");
  LogReader reader(dir_);
  struct Case {
    uint64_t lines;
    std::string expect;
  };
  for (const Case& c : {Case{0, ""},
                        {1, "four\n"},
                        {2, "three\nfour\n"},
                        {4, "one\ntwo\nthree\nfour\n"},
                        {99, "one\ntwo\nthree\nfour\n"}}) {
    EXPECT_EQ(All(reader, reader.TailOffset(c.lines, 1 << 20)), c.expect) << c.lines;
  }
  writer.Append("unfinished");
  EXPECT_EQ(All(reader, reader.TailOffset(1, 1 << 20)), "unfinished");
  EXPECT_EQ(All(reader, reader.TailOffset(99, 10)), "unfinished");
}

TEST_F(LogFiles, WhatCannotBeWrittenIsCountedAndSaid) {
  // No directory and none that could be made: every open fails.
  LogWriter broken(root_ / "missing/logs", {.segment_bytes = 100, .segments = 2});
  broken.Append("12345");
  EXPECT_EQ(broken.dropped_bytes(), 5u);
  broken.Append("678");
  EXPECT_GE(broken.dropped_bytes(), 8u);
  fs::create_directories(root_ / "missing/logs");
  broken.Append("ok\n");
  EXPECT_EQ(broken.dropped_bytes(), 0u);
  LogReader reader(root_ / "missing/logs");
  EXPECT_EQ(All(reader, 0), "remuda: 8 bytes of log could not be written\nok\n");
}

}  // namespace
}  // namespace remuda::agent
