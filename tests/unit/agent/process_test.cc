#include "agent/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace remuda::agent {
namespace {

// A child that waits for its end; ended and reaped with the object.
struct Child {
  Child() : pid(fork()) {
    if (pid == 0) {
      pause();
      _exit(0);
    }
  }
  ~Child() {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  pid_t pid;
};

TEST(OpenProcess, OnlyByItsWholeName) {
  const Child child;
  const auto stat = ReadStat(child.pid);
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->parent, getpid());
  const ProcessName right{child.pid, stat->start_ticks, BootId()};
  EXPECT_TRUE(OpenProcess(right).valid());
  struct Case {
    std::string what;
    ProcessName name;
  };
  for (const Case& c :
       std::vector<Case>{{"another start", {child.pid, stat->start_ticks + 1, BootId()}},
                         {"another boot", {child.pid, stat->start_ticks, "other"}},
                         {"another process", {getpid(), stat->start_ticks, BootId()}},
                         {"no process", {0, stat->start_ticks, BootId()}},
                         {"every process", {-1, stat->start_ticks, BootId()}}}) {
    EXPECT_FALSE(OpenProcess(c.name).valid()) << c.what;
  }
}

TEST(SendSignal, ReachesOnlyWhatTheStatDescribed) {
  const Child child;
  ProcessStat stranger = *ReadStat(child.pid);
  stranger.start_ticks += 1;
  SendSignal(stranger, SIGKILL);
  EXPECT_EQ(waitpid(child.pid, nullptr, WNOHANG), 0) << "it lives";
  SendSignal(*ReadStat(child.pid), SIGKILL);
  int status = 0;
  EXPECT_EQ(waitpid(child.pid, &status, 0), child.pid);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
}

TEST(DescendantsOf, ByTable) {
  const auto process = [](pid_t pid, pid_t parent) {
    ProcessStat stat;
    stat.pid = pid;
    stat.parent = parent;
    return stat;
  };
  struct Case {
    std::string what;
    std::vector<ProcessStat> all;  // by parent
    size_t expect;
  };
  for (const Case& c : std::vector<Case>{
           {"none", {process(1, 0), process(3, 1)}, 0},
           {"two levels", {process(5, 1), process(3, 2), process(4, 3)}, 2},
           {"siblings", {process(3, 2), process(4, 2), process(5, 4)}, 3},
           {"others between", {process(2, 1), process(7, 1), process(3, 2), process(9, 7)}, 1}}) {
    EXPECT_EQ(DescendantsOf(2, c.all).size(), c.expect) << c.what;
  }
  // A cycle, as a snapshot may show while pids are reused: it ends.
  const auto cycle = DescendantsOf(2, {process(3, 2), process(4, 3), process(3, 4)});
  EXPECT_GE(cycle.size(), 3u);
  EXPECT_LE(cycle.size(), 5u);
}

TEST(ProcessesOfUser, FindsOneThatIsNotToBeDumped) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  constexpr uid_t kUser = 699'999;  // of nobody else
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    // As an app may: /proc/PID is root's from then on.
    const bool ok = setresuid(kUser, kUser, kUser) == 0 && prctl(PR_SET_DUMPABLE, 0) == 0 &&
                    write(ends[1], "x", 1) == 1;
    if (ok) pause();
    _exit(1);
  }
  char byte = 0;
  ASSERT_EQ(read(ends[0], &byte, 1), 1);
  const auto found = ProcessesOfUser(kUser);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].pid, pid);
  EXPECT_EQ(UsersOf(pid), std::vector<uid_t>(4, kUser));
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  EXPECT_TRUE(UsersOf(pid).empty());
  for (const int end : ends) close(end);
}

TEST(ReadStat, ANameMayHoldAnything) {
  const Child child;
  EXPECT_FALSE(ReadStat(0).has_value());
  // The kernel cuts it at 15 bytes; parentheses and blanks in it must not shift the fields.
  const pid_t odd = fork();
  if (odd == 0) {
    execl("/bin/sh", "sh", "-c", "printf ') R 1 (' > /proc/$$/comm; kill -STOP $$; sleep 1000",
          nullptr);
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(odd, &status, WUNTRACED), odd);
  const auto stat = ReadStat(odd);
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->parent, getpid());
  EXPECT_EQ(stat->state, 'T');
  kill(odd, SIGKILL);
  waitpid(odd, nullptr, 0);
}

}  // namespace
}  // namespace remuda::agent
