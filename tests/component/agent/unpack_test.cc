// The process that judges and unpacks archives: what it may do, and when it ends.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "agent/landlock.h"
#include "agent/process.h"
#include "agent/record_file.h"
#include "agent/unpack_child.h"
#include "tests/wait.h"

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr char kAgent[] = REMUDA_BIN_DIR "/remuda-agent";

class UnpackTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "remuda-unpack-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    fs::create_directories(root_ / "from/sub");
    std::ofstream(root_ / "from/sub/file") << "hello";
    archive_ = (root_ / "a.tar.zst").string();
    EXPECT_TRUE(PackDirectory(root_ / "from", archive_).ok());
    fs::create_directory(root_ / "to");
  }
  void TearDown() override { fs::remove_all(root_); }

  fs::path root_;
  std::string archive_;
};

TEST_F(UnpackTest, AnswersAsTheCallItselfWould) {
  const auto checked = UnpackInChild(kAgent, archive_, "", {});
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(checked->content_bytes, 5u);
  EXPECT_EQ(checked->entries, 2u);
  const auto unpacked = UnpackInChild(kAgent, archive_, root_ / "to", {});
  ASSERT_TRUE(unpacked.ok()) << unpacked.status();
  EXPECT_EQ(*ReadWholeFile(root_ / "to/sub/file"), "hello");

  const absl::Status full = UnpackInChild(kAgent, archive_, root_ / "to", {}).status();
  EXPECT_EQ(full.code(), absl::StatusCode::kFailedPrecondition) << full;
  const absl::Status refused =
      UnpackInChild(kAgent, archive_, "", {.max_content_bytes = 4}).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("the content is over 4 bytes"));
  std::ofstream(root_ / "none") << "no archive";
  EXPECT_EQ(UnpackInChild(kAgent, root_ / "none", "", {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(UnpackInChild(root_ / "no-program", archive_, "", {}).status().code(),
            absl::StatusCode::kUnavailable);
  const absl::Status ended = UnpackInChild("/bin/false", archive_, "", {}).status();
  EXPECT_EQ(ended.code(), absl::StatusCode::kUnavailable) << ended;
}

TEST_F(UnpackTest, WhatItReadsMayTakeItOverAndStillReachesNothing) {
  std::ofstream(root_ / "other") << "of the host";
  // Each is tried by a process that has enclosed itself; 0, or an errno.
  const auto tried = [&](const std::function<int()>& what) {
    const pid_t pid = fork();
    if (pid == 0) {
      const char* step = "";
      if (EncloseUnpacking(archive_, root_ / "to", {}, step) != 0) _exit(255);
      _exit(what());
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 254;
  };
  const auto opens = [&](const fs::path& path, int flags) {
    return tried([&] { return open(path.c_str(), flags, 0600) < 0 ? errno : 0; });
  };
  EXPECT_EQ(opens(archive_, O_RDONLY), 0);
  EXPECT_EQ(opens(root_ / "to/new", O_WRONLY | O_CREAT), 0);
  EXPECT_EQ(tried([] { return fork() < 0 ? errno : 0; }), EPERM);
  EXPECT_EQ(tried([] { return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0; }), EPERM);
  EXPECT_EQ(tried([] { return socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0; }), EPERM);
  if (Landlock::Version() < Landlock::kNeeded) GTEST_SKIP() << "no Landlock: file modes alone";
  EXPECT_EQ(opens(archive_, O_WRONLY), EACCES);
  EXPECT_EQ(opens(root_ / "other", O_RDONLY), EACCES);
  EXPECT_EQ(opens(root_ / "new", O_WRONLY | O_CREAT), EACCES);
  for (const char* path : {"/etc/passwd", "/proc/self/environ", "/bin/sh", "/dev/null"})
    EXPECT_EQ(opens(path, O_RDONLY), EACCES) << path;
}

// A later agent unpacks the same image at the same place.
TEST_F(UnpackTest, EndsWithWhoBeganIt) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const fs::path fifo = root_ / "fifo";  // it waits for somebody who writes
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const pid_t agent = fork();
  if (agent == 0) {
    static_cast<void>(UnpackInChild(kAgent, fifo, "", {}));
    _exit(0);
  }
  pid_t child = 0;
  ASSERT_TRUE(WaitUntil([&] {
    for (const ProcessStat& p : AllProcesses()) {
      const std::string path = "/proc/" + std::to_string(p.pid) + "/cmdline";
      const auto words = ReadWholeFile(path);
      if (p.parent == agent && words && words->find("unpack") != std::string::npos) child = p.pid;
    }
    return child != 0;
  }));
  kill(agent, SIGKILL);
  waitpid(agent, nullptr, 0);
  const bool ended = WaitUntil([&] { return waitpid(child, nullptr, WNOHANG) != 0; });
  EXPECT_TRUE(ended);
  if (!ended) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST_F(UnpackTest, CanBeGivenUp) {
  const fs::path fifo = root_ / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const Fd cancel(eventfd(1, EFD_CLOEXEC));
  EXPECT_EQ(UnpackInChild(kAgent, fifo, "", {}, cancel.get()).status().code(),
            absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace remuda::agent
