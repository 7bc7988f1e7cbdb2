// Processes, told apart for certain: a pid alone may have been given to a stranger since it was
// written down. A process is named by (pid, start time, boot id), and is only ever signalled
// through a pidfd that was opened and then checked against that name. Also: what /proc says about a
// process, and who descends from whom.
//
// Plain C++ and Linux: the shim uses it, so it must not pull in gRPC, protobuf or Abseil. Any
// thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace remuda::agent {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    Reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Fd() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1);

 private:
  int fd_ = -1;
};

// Names an open file: the same for all that have it open in one boot, another for each copy. Empty
// if it cannot be told.
std::string FileId(int fd);

// The kernel's random id of this boot; empty if it cannot be read.
std::string BootId();

// The system's clock, in milliseconds, as records have it.
int64_t UnixMs();

struct ProcessName {
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // field 22 of /proc/PID/stat
  std::string boot_id;
};

// One line of /proc/PID/stat.
struct ProcessStat {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  char state = '?';
  uint64_t start_ticks = 0;
  uint64_t cpu_ticks = 0;  // user + system, its own and that of the children it has waited for
  uint64_t resident_bytes = 0;
};

std::optional<ProcessStat> ReadStat(pid_t pid);
// Every process that /proc shows now, ordered by parent.
std::vector<ProcessStat> AllProcesses();
// Those of `all` (ordered by parent) that descend from `root`, without `root`.
std::vector<ProcessStat> DescendantsOf(pid_t root, const std::vector<ProcessStat>& all);

// A pidfd that surely means the named process; invalid if that process is gone (or the machine was
// rebooted since).
Fd OpenProcess(const ProcessName& name);
// False: it has ended already.
bool SendSignal(const Fd& pidfd, int signal);
// Ends every process of a user at once: none can escape by forking. Needs the right to become it;
// `uid` must not be a user that anything else runs as. Single-threaded processes only.
void KillUser(uid_t uid);
// The ids that a process has as user: its own, effective, saved, and for files. Empty: it is gone.
// (Whose /proc/PID is says nothing: of a process that is not to be dumped it is root's.)
std::vector<uid_t> UsersOf(pid_t pid);
// Processes of a user that have not ended, as /proc shows them.
std::vector<ProcessStat> ProcessesOfUser(uid_t uid);
// Signals the process that `stat` described, and nobody else.
void SendSignal(const ProcessStat& stat, int signal);

}  // namespace remuda::agent
