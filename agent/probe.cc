#include "agent/probe.h"

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "agent/landlock.h"
#include "agent/private_view.h"
#include "agent/privileges.h"
#include "agent/record_file.h"
#include "agent/seccomp_filter.h"

namespace remuda::agent {
namespace {

// Runs `attempt`, which answers 0 or an errno, in a child. The errno.
template <class Attempt>
int InChild(const Attempt& attempt) {
  const pid_t pid = fork();
  if (pid < 0) return errno;
  if (pid == 0) _exit(attempt());
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : ECANCELED;
}

// `name=` alone: it works.
void Say(const char* name, const std::string& why) { std::printf("%s=%s\n", name, why.c_str()); }

std::string Because(const char* what, int error) {
  return error == 0 ? "" : std::string(what) + ": " + std::strerror(error);
}

std::string TryUser(uid_t uid) {
  if (geteuid() != 0) return "the agent is not root";
  const int error = InChild([uid] {
    if (const int failed = ForbidCapabilities(); failed != 0) return failed;
    if (const int failed = BecomeUser(uid, uid, {}); failed != 0) return failed;
    return GiveUpPrivileges();
  });
  return Because(("become user " + std::to_string(uid)).c_str(), error);
}

std::string TrySeccomp() {
  return Because("set a filter of system calls", InChild([] {
                   if (const int failed = GiveUpPrivileges(); failed != 0) return failed;
                   if (const int failed = FilterSystemCalls(); failed != 0) return failed;
                   return unshare(CLONE_NEWUSER) != 0 && errno == EPERM ? 0 : EINVAL;
                 }));
}

std::string TryLandlock() {
  const int version = Landlock::Version();
  if (version == 0) return "the kernel has no Landlock, or it is switched off";
  if (version < Landlock::kNeeded) {
    return "the kernel's Landlock is version " + std::to_string(version) + ", needed is " +
           std::to_string(Landlock::kNeeded);
  }
  return Because("set rules", InChild([] {
                   Landlock landlock;
                   if (const int failed = landlock.Make({}, {}); failed != 0) return failed;
                   if (const int failed = GiveUpPrivileges(); failed != 0) return failed;
                   return landlock.Restrict();
                 }));
}

std::string TryPrivateView() {
  if (geteuid() != 0) return "the agent is not root";
  return Because("mount in a mount namespace", InChild([] {
                   PrivateView view;
                   view.app = view.tmp = "/tmp";
                   return view.Enter();
                 }));
}

// How many files a process may be allowed to open.
int64_t MostOpenFiles() {
  rlimit now{};
  getrlimit(RLIMIT_NOFILE, &now);
  int64_t most = static_cast<int64_t>(std::min<rlim_t>(now.rlim_max, INT64_MAX));
  const int64_t of_kernel = std::atoll(ReadWholeFile("/proc/sys/fs/nr_open").value_or("0").c_str());
  const rlimit wanted{static_cast<rlim_t>(of_kernel), static_cast<rlim_t>(of_kernel)};
  if (of_kernel > most && setrlimit(RLIMIT_NOFILE, &wanted) == 0) most = of_kernel;
  return most;
}

}  // namespace

int ProbeMain(const char* uid) {
  Say("user", TryUser(static_cast<uid_t>(std::strtoul(uid, nullptr, 10))));
  Say("seccomp", TrySeccomp());
  Say("landlock", TryLandlock());
  Say("private_tmp", TryPrivateView());
  Say("open_files", std::to_string(MostOpenFiles()));
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace remuda::agent
