#include "agent/kept_logs.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "agent/log_tail.h"
#include "common/utf8.h"

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;
using std::chrono::minutes;
using std::chrono::seconds;

class KeptLogsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "remuda-logs-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(root_); }

  // A log directory as a shim leaves it.
  std::string Log(const std::string& id, const std::string& text) {
    const fs::path directory = root_ / "instances" / id / "logs";
    fs::create_directories(directory);
    std::ofstream(directory / "00000000000000000000.log") << text;
    return directory;
  }
  KeptLogs::Options Options() { return {.directory = root_ / "logs", .max_bytes = 1000}; }
  void Keep(KeptLogs& logs, const std::string& id, size_t bytes, KeptLogs::Time when) {
    logs.Keep(id, Log(id, std::string(bytes, 'x')), when);
  }

  fs::path root_;
  const KeptLogs::Time now_ = std::chrono::system_clock::now();
};

TEST_F(KeptLogsTest, ALogStaysForItsTime) {
  KeptLogs logs(Options());
  logs.Open();
  logs.Keep("i-a", Log("i-a", "last words\n"), now_);
  EXPECT_FALSE(fs::exists(root_ / "instances/i-a/logs")) << "moved, not copied";
  ASSERT_FALSE(logs.Find("i-a").empty());
  EXPECT_EQ(LogTail(logs.Find("i-a")), "last words\n");
  EXPECT_EQ(logs.Find("i-b"), "");
  logs.Prune(now_ + minutes(60));
  EXPECT_NE(logs.Find("i-a"), "");
  logs.Prune(now_ + minutes(66));
  EXPECT_EQ(logs.Find("i-a"), "");
  EXPECT_TRUE(fs::is_empty(root_ / "logs"));
}

TEST_F(KeptLogsTest, TheOldestGoWhenThereAreTooManyBytesOrLogs) {
  KeptLogs logs({.directory = root_ / "logs", .max_bytes = 1000, .max_logs = 3});
  logs.Open();
  Keep(logs, "i-a", 400, now_);
  Keep(logs, "i-b", 400, now_ + seconds(1));
  Keep(logs, "i-c", 400, now_ + seconds(2));
  EXPECT_EQ(logs.Find("i-a"), "");
  EXPECT_NE(logs.Find("i-b"), "");
  for (int i = 3; i < 6; ++i) Keep(logs, "i-" + std::to_string(i), 10, now_ + seconds(i));
  EXPECT_EQ(logs.Find("i-b"), "");
  EXPECT_EQ(logs.Find("i-c"), "");
  EXPECT_NE(logs.Find("i-3"), "");
  // One that is alone too large is not kept.
  Keep(logs, "i-large", 1001, now_ + seconds(7));
  EXPECT_TRUE(fs::is_empty(root_ / "logs"));
}

TEST_F(KeptLogsTest, AnotherAgentFindsThem) {
  {
    KeptLogs logs(Options());
    logs.Open();
    Keep(logs, "i-a", 600, now_ - minutes(30));
  }
  KeptLogs logs(Options());
  logs.Open();
  EXPECT_NE(logs.Find("i-a"), "");
  Keep(logs, "i-b", 600, now_);
  EXPECT_EQ(logs.Find("i-a"), "") << "its bytes count";
  logs.Prune(now_ + minutes(70));
  EXPECT_EQ(logs.Find("i-b"), "");
}

TEST_F(KeptLogsTest, NothingPrintedIsNothingKept) {
  KeptLogs logs(Options());
  logs.Open();
  logs.Keep("i-none", (root_ / "instances/i-none/logs").string(), now_);
  logs.Keep("i-empty", Log("i-empty", ""), now_);
  EXPECT_EQ(logs.Find("i-none"), "");
  EXPECT_EQ(logs.Find("i-empty"), "");
}

TEST_F(KeptLogsTest, TheTailIsWholeLinesOfTextAndBounded) {
  const struct {
    std::string printed, tail;
  } cases[] = {
      {"", ""},
      {"one\ntwo", "one\ntwo\n"},
      {"one\n\n\ntwo\r\n\n", "one\ntwo\n"},
      {"caf\xe9 \x1b[31mred\n", "caf\\xe9 \\x1b[31mred\n"},
      {"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n", "3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n"},
      {std::string(900, 'a') + "\n" + std::string(200, 'b') + "\n", std::string(200, 'b') + "\n"},
      {"head\n" + std::string(5000, 'z') + "\n", std::string(kLogTailBytes - 1, 'z') + "\n"},
  };
  for (size_t i = 0; i < std::size(cases); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(LogTail(Log("i-" + std::to_string(i), cases[i].printed)), cases[i].tail);
  }
  std::string bytes(100'000, '\xff');
  const std::string tail = LogTail(Log("i-bytes", bytes));
  EXPECT_LE(tail.size(), kLogTailBytes);
  EXPECT_TRUE(IsUtf8(tail));
  EXPECT_EQ(LogTail(root_ / "nowhere"), "");
}

// What node prints of a port that is taken: its error stands above two stacks and the values.
TEST_F(KeptLogsTest, TheTailHoldsTheErrorAboveItsStack) {
  const std::string frame = "    at Server.setupListenHandle [as _listen2] (node:net:1463:16)\n";
  const std::string printed =
      "shop 3 starts\nnode:events:491\n      throw er; // Unhandled\n" +
      std::string("      ^\n\nError: listen EADDRINUSE: :::8080\n") + frame + frame + frame +
      frame + "Emitted 'error' event on Server instance at:\n" + frame + frame +
      "  code: 'EADDRINUSE',\n  errno: -98,\n  port: 8080\n}\n\n" + "Node.js v18.20.4\n";
  EXPECT_EQ(LogTail(Log("i-node", printed)),
            "      throw er; // Unhandled\n    ...\nError: listen EADDRINUSE: :::8080\n" + frame +
                "    ...\nEmitted 'error' event on Server instance at:\n" + frame +
                "    ...\n}\nNode.js v18.20.4\n");
  EXPECT_EQ(LogTail(Log("i-short", "Error: no\n    at a\n    at b\n")),
            "Error: no\n    at a\n    at b\n")
      << "what fits is told as it is";
}

// Else what is left of a frame is not indented, and looks like the error.
TEST_F(KeptLogsTest, TheTailBeginsWithNoPartOfALine) {
  const auto frames = [](size_t count, size_t bytes) {
    std::string out;
    for (size_t i = 0; i < count; ++i) out += "    at " + std::string(bytes - 8, 'f') + "\n";
    return out;
  };
  // More than the 8 KiB that are read, which begin within a frame.
  EXPECT_EQ(LogTail(Log("i-torn", "Error: no\n" + frames(50, 200) + "Node.js v18.20.4\n")),
            frames(1, 200) + "    ...\nNode.js v18.20.4\n");
  // The 8 KiB begin with the error.
  const std::string error = "Error: " + std::string(248, 'e') + "\n";
  EXPECT_EQ(LogTail(Log("i-whole", "starts\n" + error + frames(31, 256))),
            error + frames(1, 256) + "    ...\n");
  // No line begins in them.
  const std::string end = std::string(kLogTailBytes - 1, 'z') + "\n";
  EXPECT_EQ(LogTail(Log("i-long", "starts\n" + std::string(9000, 'z'))), end);
  EXPECT_EQ(LogTail(Log("i-long-blank", std::string(9000, 'z') + "\n\n \n")), end);
}

TEST_F(KeptLogsTest, TheTailOfAGenerationBeginsAfterItsMark) {
  const std::string log = Log("i-a", "first\nmark 1\nsecond\nmark 2\nthird\nmark 20\n");
  EXPECT_EQ(LogTail(log, "mark 2"), "third\nmark 20\n");
  EXPECT_EQ(LogTail(log, "mark 3"), "first\nmark 1\nsecond\nmark 2\nthird\nmark 20\n");
  EXPECT_EQ(LogTail(Log("i-b", "first\nmark 1\n"), "mark 1"), "");
  EXPECT_EQ(LogTail(Log("i-c", "mark 1\nx\nmark 1\ny\n"), "mark 1"), "y\n");
}

}  // namespace
}  // namespace remuda::agent
