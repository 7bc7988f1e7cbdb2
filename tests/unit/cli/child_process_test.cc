#include "cli/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace remuda::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ChildProcessTest : public testing::Test {
 protected:
  ChildProcessTest() {
    std::string name = (fs::temp_directory_path() / "remuda-child-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    log_ = directory_ + "/log";
  }
  ~ChildProcessTest() override { fs::remove_all(directory_); }

  int Run(const std::string& script) const {
    const auto pid = SpawnChild({"/bin/sh", "-c", script}, log_);
    EXPECT_TRUE(pid.ok()) << pid.status();
    int status = 0;
    EXPECT_EQ(waitpid(*pid, &status, 0), *pid);
    return status;
  }
  std::string Log() const {
    std::ifstream in(log_);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  std::string directory_;
  std::string log_;
};

TEST_F(ChildProcessTest, AppendsBothOutputsToTheLogAndInheritsNothingElse) {
  Run("echo one; echo two >&2");
  EXPECT_EQ(Log(), "one\ntwo\n");
  std::ofstream held(directory_ + "/held");  // C++ streams are not close-on-exec.
  Run("ls /proc/self/fd; read line || echo no input");
  EXPECT_THAT(Log(), HasSubstr("no input"));
  EXPECT_THAT(Log(), testing::Not(HasSubstr("4\n")));  // 0, 1, 2, and ls's own 3
}

TEST_F(ChildProcessTest, SaysHowItEnded) {
  EXPECT_EQ(DescribeExit(Run("exit 7")), "exit code 7");
  EXPECT_EQ(DescribeExit(Run("kill -9 $$")), "signal 9 (Killed)");
  EXPECT_THAT(SpawnChild({directory_ + "/nothing"}, log_).status().message(),
              HasSubstr("No such file"));
}

TEST_F(ChildProcessTest, TailsAndBoundsLogs) {
  std::ofstream out(log_, std::ios::app);
  for (int i = 0; i < 5000; ++i) out << "line " << i << "\n";
  out.flush();
  EXPECT_EQ(TailOfFile(log_, 2, "  "), "  line 4998\n  line 4999\n");
  EXPECT_EQ(TailOfFile(directory_ + "/nothing", 2, ""), "");
  BoundLog(log_, 1'000'000);
  EXPECT_GT(fs::file_size(log_), 0u);
  BoundLog(log_, 1000);
  EXPECT_EQ(fs::file_size(log_), 0u);
  EXPECT_GT(fs::file_size(log_ + ".1"), 1000u);
  out << "goes on\n" << std::flush;  // The writer's descriptor appends to the emptied file.
  EXPECT_EQ(Log(), "goes on\n");
}

}  // namespace
}  // namespace remuda::cli
