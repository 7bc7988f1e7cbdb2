// The access log's ring and its thread: nothing is lost that fits, what does not fit is counted.
#include "proxy/telemetry/access_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include "tests/wait.h"

namespace remuda::proxy {
namespace {

std::string Take(LogRing& ring) {
  iovec pieces[2];
  std::string out;
  const size_t size = ring.size();
  const size_t count = ring.Peek(size, pieces);
  for (size_t i = 0; i < count; ++i)
    out.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  ring.Consume(size);
  return out;
}

TEST(LogRing, TakesWholeLinesOrNothing) {
  LogRing ring(16);
  EXPECT_TRUE(ring.Append("0123456789"));
  EXPECT_FALSE(ring.Append("1234567"));
  EXPECT_TRUE(ring.IsHalfFull());
  EXPECT_TRUE(ring.Append("abcdef"));
  EXPECT_EQ(Take(ring), "0123456789abcdef");
  EXPECT_TRUE(ring.empty());
  EXPECT_FALSE(ring.IsHalfFull());
  for (int i = 0; i < 10; ++i) {  // over the end of the memory
    EXPECT_TRUE(ring.Append("0123456789a"));
    EXPECT_EQ(Take(ring), "0123456789a");
  }
}

class AccessLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "remuda-log-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string Path(const std::string& name = "log") const { return directory_ + "/" + name; }
  std::string Read(const std::string& name = "log") const {
    std::ifstream in(Path(name));
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

  std::string directory_;
};

AccessEntry EntryWith(std::string_view path) {
  AccessEntry entry;
  entry.method = "GET";
  entry.path = path;
  return entry;
}

TEST_F(AccessLogTest, WritesEveryLineOfEveryWorker) {
  constexpr int kLines = 2000;
  uint64_t lost = 0;
  {
    AccessLog log(Path(), AccessLogFormat::kAlb, 3);
    std::vector<std::thread> workers;
    for (size_t w = 0; w < 3; ++w) {
      workers.emplace_back([&log, w] {
        for (int i = 0; i < kLines; ++i)
          log.Write(w, EntryWith("/" + std::to_string(w) + "-" + std::to_string(i)));
      });
    }
    for (std::thread& worker : workers) worker.join();
    lost = log.lost_lines();
  }
  std::istringstream text(Read());
  std::set<std::string> seen;
  for (std::string line; std::getline(text, line);) {
    ASSERT_EQ(line.rfind("http ", 0), 0U) << line;
    const size_t at = line.find(":0/") + 2;
    seen.insert(line.substr(at, line.find(' ', at) - at));
  }
  EXPECT_EQ(seen.size() + lost, 3U * kLines);
  EXPECT_EQ(lost, 0U);  // a ring holds more than that
}

TEST_F(AccessLogTest, WritesALineThatComesAfterSilence) {
  AccessLog log(Path(), AccessLogFormat::kAlb, 1);
  for (int i = 0; i < 50; ++i) {
    log.Write(0, EntryWith("/" + std::to_string(i)));
    ASSERT_TRUE(WaitUntil([&] {
      return Read().find("/" + std::to_string(i) + " ") != std::string::npos;
    })) << i;
  }
}

TEST_F(AccessLogTest, OpensTheFileAnewWhenAsked) {
  AccessLog log(Path(), AccessLogFormat::kAlb, 1);
  log.Write(0, EntryWith("/before"));
  ASSERT_TRUE(WaitUntil([&] { return !Read().empty(); }));
  std::filesystem::rename(Path(), Path("old"));
  log.Reopen();
  ASSERT_TRUE(WaitUntil([&] { return std::filesystem::exists(Path()); }));
  log.Write(0, EntryWith("/after"));
  ASSERT_TRUE(WaitUntil([&] { return Read().find("/after") != std::string::npos; }));
  EXPECT_NE(Read("old").find("/before"), std::string::npos);
  EXPECT_EQ(Read("old").find("/after"), std::string::npos);
}

// A reader that does not read: the pipe and the ring fill up, and the worker is never held up.
TEST_F(AccessLogTest, CountsWhatDoesNotFit) {
  ASSERT_EQ(mkfifo(Path().c_str(), 0600), 0);
  const int reader = open(Path().c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  constexpr uint64_t kLines = 30000;  // some 6 MB
  uint64_t lost = 0;
  uint64_t written = 0;
  std::thread drain;
  {
    AccessLog log(Path(), AccessLogFormat::kAlb, 1);
    for (uint64_t i = 0; i < kLines; ++i) log.Write(0, EntryWith("/"));
    lost = log.lost_lines();
    EXPECT_GT(lost, 0U);
    drain = std::thread([&] {
      char bytes[65536];
      ssize_t got;
      while ((got = read(reader, bytes, sizeof bytes)) != 0) {  // 0: the log closed its end
        written +=
            static_cast<uint64_t>(std::count(bytes, bytes + std::max<ssize_t>(got, 0), '\n'));
        if (got < 0) std::this_thread::yield();
      }
    });
  }
  drain.join();
  EXPECT_EQ(written + lost, kLines);
  close(reader);
}

// The path of each line, in order; of what has not as many fields as the first one, "?".
std::vector<std::string> PathsOf(const std::string& log) {
  const auto fields = [](const std::string& line) {
    return std::count(line.begin(), line.end(), ' ');
  };
  std::vector<std::string> out;
  std::istringstream text(log);
  std::ptrdiff_t whole = -1;
  for (std::string line; std::getline(text, line);) {
    if (whole < 0) whole = fields(line);
    const size_t at = line.find(":0/");
    const bool is_whole =
        line.rfind("http ", 0) == 0 && fields(line) == whole && at != std::string::npos;
    out.push_back(is_whole ? line.substr(at + 2, line.find(' ', at) - at - 2) : "?");
  }
  return out;
}

std::string ReadAll(int fd) {
  std::string out;
  char bytes[4096];
  for (ssize_t got; (got = read(fd, bytes, sizeof bytes)) > 0;)
    out.append(bytes, static_cast<size_t>(got));
  return out;
}

// More than a pipe takes, and less than a ring.
constexpr int kManyLines = 2000;

TEST_F(AccessLogTest, OpeningAFullPipeAnewLosesNothing) {
  ASSERT_EQ(mkfifo(Path().c_str(), 0600), 0);
  const int reader = open(Path().c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  std::string got;
  {
    AccessLog log(Path(), AccessLogFormat::kAlb, 2);
    for (int i = 0; i < 2 * kManyLines; ++i)
      log.Write(static_cast<size_t>(i % 2), EntryWith("/" + std::to_string(i)));
    for (int i = 0; i < 10; ++i) {
      log.Reopen();
      // It need not be seen in time; but mostly is, while the pipe is full.
      std::this_thread::sleep_for(std::chrono::milliseconds(4 * AccessLog::kBatchMs));
      got += ReadAll(reader);
    }
    EXPECT_TRUE(WaitUntil([&] {
      got += ReadAll(reader);
      return std::count(got.begin(), got.end(), '\n') == 2 * kManyLines;
    }));
    EXPECT_EQ(log.lost_lines(), 0U);
  }
  close(reader);
  std::set<std::string> seen;
  for (const std::string& path : PathsOf(got)) {
    EXPECT_NE(path, "?");
    seen.insert(path);
  }
  EXPECT_EQ(seen.size(), 2U * kManyLines);
}

TEST_F(AccessLogTest, AnotherFileInPlaceOfAFullPipeGetsTheRest) {
  ASSERT_EQ(mkfifo(Path().c_str(), 0600), 0);
  const int reader = open(Path().c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  {
    AccessLog log(Path(), AccessLogFormat::kAlb, 2);
    for (int i = 0; i < 2 * kManyLines; ++i)
      log.Write(static_cast<size_t>(i % 2), EntryWith("/" + std::to_string(i)));
    std::filesystem::rename(Path(), Path("old"));
    log.Reopen();
    ASSERT_TRUE(WaitUntil([&] { return std::filesystem::exists(Path()); }));
  }
  const std::vector<std::string> before = PathsOf(ReadAll(reader));
  close(reader);
  const std::vector<std::string> after = PathsOf(Read());
  EXPECT_EQ(std::count(after.begin(), after.end(), "?"), 0);
  // A line that was written in part is lost.
  const auto cut = static_cast<size_t>(std::count(before.begin(), before.end(), "?"));
  EXPECT_LE(cut, 1U);
  EXPECT_EQ(before.size() + after.size(), 2U * kManyLines);
}

// Of a pipe, too, that stdout may be.
TEST_F(AccessLogTest, EndsThoughNobodyReads) {
  ASSERT_EQ(mkfifo(Path().c_str(), 0600), 0);
  const int reader = open(Path().c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  {
    AccessLog log(Path(), AccessLogFormat::kAlb, 1);
    for (int i = 0; i < 5000; ++i) log.Write(0, EntryWith("/"));
  }
  close(reader);
}

TEST_F(AccessLogTest, NamesAFifoThatNobodyReadsFrom) {
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  try {
    AccessLog log(Path("fifo"), AccessLogFormat::kAlb, 1);
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_NE(std::string(error.what()).find("nobody reads"), std::string::npos) << error.what();
  }
  // Nor is it waited for when the log is opened anew: what was in use stays.
  AccessLog log(Path(), AccessLogFormat::kAlb, 1);
  std::filesystem::rename(Path(), Path("old"));
  std::filesystem::rename(Path("fifo"), Path());
  log.Reopen();
  log.Write(0, EntryWith("/after"));
  EXPECT_TRUE(WaitUntil([&] { return Read("old").find("/after") != std::string::npos; }));
}

TEST_F(AccessLogTest, CountsWhatCannotBeWritten) {
  ASSERT_EQ(symlink("/dev/full", Path().c_str()), 0);
  AccessLog log(Path(), AccessLogFormat::kAlb, 1);
  for (int i = 0; i < 3; ++i) log.Write(0, EntryWith("/"));
  EXPECT_TRUE(WaitUntil([&] { return log.lost_lines() == 3; })) << log.lost_lines();
  // And goes on when there is room again.
  ASSERT_EQ(unlink(Path().c_str()), 0);
  log.Reopen();
  ASSERT_TRUE(WaitUntil([&] { return std::filesystem::exists(Path()); }));
  log.Write(0, EntryWith("/again"));
  EXPECT_TRUE(WaitUntil([&] { return Read().find("/again") != std::string::npos; }));
  EXPECT_EQ(log.lost_lines(), 3U);
}

TEST(AccessLogStart, NamesTheFileThatCannotBeOpened) {
  try {
    AccessLog log("/nowhere/log", AccessLogFormat::kAlb, 1);
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_NE(std::string(error.what()).find("/nowhere/log"), std::string::npos);
  }
}

}  // namespace
}  // namespace remuda::proxy
