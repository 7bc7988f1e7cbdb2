#include "common/logging.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>

#include "common/background_sink.h"

namespace remuda {
namespace {

struct Pipe {
  Pipe() {
    if (pipe(fds) != 0) ADD_FAILURE();
  }
  ~Pipe() {
    close(fds[0]);
    close(fds[1]);
  }
  int fds[2];
};

TEST(BackgroundSinkTest, NobodyWaitsForAReaderAndWhatIsLostIsSaid) {
  const Pipe pipe;
  auto sink = std::make_shared<BackgroundSink>("test", pipe.fds[1], false);
  spdlog::logger logger("test", sink);
  logger.set_pattern("%v");
  constexpr uint64_t kLines = 50'000;
  const std::string text(100, 'x');
  // The pipe takes 64 KiB and the queue 1 MiB; without the sink this would never end.
  for (uint64_t i = 0; i < kLines; ++i) logger.info(text);
  const uint64_t lost = sink->lost_lines();
  EXPECT_GT(lost, 0u);
  EXPECT_LT(lost, kLines);
  std::string said;
  std::thread reader([&] {
    char block[4096];
    for (ssize_t n; (n = read(pipe.fds[0], block, sizeof block)) > 0;) {
      said.append(block, static_cast<size_t>(n));
      if (said.find("are lost") != std::string::npos) return;
    }
  });
  reader.join();
  EXPECT_NE(said.find(std::to_string(lost) + " lines of this log are lost"), std::string::npos);
}

// A signal that came to its thread would end the process, whatever the others have in mind.
TEST(BackgroundSinkTest, NoSignalComesToItsThreadFromTheBeginningOn) {
  const Pipe pipe;
  for (int i = 0; i < 200; ++i) {
    const BackgroundSink sink("test", pipe.fds[1], false);
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      const std::string id = task.path().filename();
      if (id == std::to_string(getpid())) continue;
      std::ifstream status(task.path() / "status");
      const std::string text(std::istreambuf_iterator<char>(status), {});
      const std::string mark = "SigBlk:\t";
      const size_t at = text.find(mark);
      ASSERT_NE(at, std::string::npos);
      const uint64_t blocked = std::stoull(text.substr(at + mark.size(), 16), nullptr, 16);
      ASSERT_TRUE(blocked & (uint64_t{1} << (SIGTERM - 1))) << "the " << i << "th";
    }
  }
  sigset_t mine;
  pthread_sigmask(SIG_SETMASK, nullptr, &mine);
  EXPECT_FALSE(sigismember(&mine, SIGTERM)) << "of whoever makes it nothing changes";
}

TEST(BackgroundSinkTest, WritesAllBeforeItEnds) {
  const Pipe pipe;
  {
    spdlog::logger logger("test", std::make_shared<BackgroundSink>("test", pipe.fds[1], false));
    logger.set_pattern("%v");
    for (int i = 0; i < 100; ++i) logger.info("line {}", i);
  }
  char block[4096];
  const ssize_t size = read(pipe.fds[0], block, sizeof block);
  ASSERT_GT(size, 0);
  const std::string said(block, static_cast<size_t>(size));
  EXPECT_EQ(said.substr(0, 7), "line 0\n");
  EXPECT_EQ(said.substr(said.size() - 8), "line 99\n");
}

TEST(JsonEscapeTest, EscapesWhatWouldBreakALineOrAString) {
  const struct {
    std::string in, out;
  } cases[] = {
      {"plain", "plain"},
      {"a\"b\\c", "a\\\"b\\\\c"},
      {"line\nbreak\ttab", "line\\u000abreak\\u0009tab"},
      {std::string("nul\0!", 5), "nul\\u0000!"},
      {"\x7f", "\\u007f"},
      {"caf\xc3\xa9", "caf\xc3\xa9"},
      {"cut \xc3", "cut \\ufffd"},
      {"stray \xa9!", "stray \\ufffd!"},
      {"overlong \xc0\xaf", "overlong \\ufffd\\ufffd"},
  };
  for (const auto& c : cases) EXPECT_EQ(JsonEscape(c.in), c.out);
}

TEST(InitLoggingTest, NamesAWrongLevel) {
  EXPECT_EQ(InitLogging("test", "loud"),
            "log level \"loud\" is not one of trace, debug, info, warn, error, off");
  EXPECT_EQ(InitLogging("test", "info"), "");
}

}  // namespace
}  // namespace remuda
