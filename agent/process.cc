#include "agent/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace remuda::agent {
namespace {

// Reads a small file of /proc in one go.
std::string ReadSmall(const char* path) {
  const Fd fd(open(path, O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return {};
  char buffer[1024];
  const ssize_t n = read(fd.get(), buffer, sizeof buffer);
  return n > 0 ? std::string(buffer, static_cast<size_t>(n)) : std::string();
}

}  // namespace

void Fd::Reset(int fd) {
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
}

std::string FileId(int fd) {
  struct stat st {};
  if (fstat(fd, &st) != 0) return {};
  return std::to_string(st.st_dev) + ":" + std::to_string(st.st_ino);
}

std::string BootId() {
  std::string id = ReadSmall("/proc/sys/kernel/random/boot_id");
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

int64_t UnixMs() {
  timespec ts{};
  clock_gettime(CLOCK_REALTIME, &ts);
  return ts.tv_sec * 1000 + ts.tv_nsec / 1'000'000;
}

std::optional<ProcessStat> ReadStat(pid_t pid) {
  char path[40];
  std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const std::string text = ReadSmall(path);
  // The command's name stands in parentheses and may hold anything, so start behind the last one.
  const size_t close_paren = text.rfind(')');
  if (close_paren == std::string::npos) return std::nullopt;
  ProcessStat stat;
  stat.pid = pid;
  unsigned long long user = 0, system = 0, start = 0;
  long long children_user = 0, children_system = 0, resident_pages = 0;
  const int fields =
      std::sscanf(text.c_str() + close_paren + 1,
                  " %c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld %*d %*d %*d %*d "
                  "%llu %*u %lld",
                  &stat.state, &stat.parent, &stat.group, &user, &system, &children_user,
                  &children_system, &start, &resident_pages);
  if (fields != 9) return std::nullopt;
  static const long kPageBytes = sysconf(_SC_PAGESIZE);
  stat.start_ticks = start;
  stat.cpu_ticks = user + system + static_cast<uint64_t>(children_user + children_system);
  stat.resident_bytes = static_cast<uint64_t>(resident_pages) * static_cast<uint64_t>(kPageBytes);
  return stat;
}

std::vector<ProcessStat> AllProcesses() {
  std::vector<ProcessStat> all;
  DIR* proc = opendir("/proc");
  if (proc == nullptr) return all;
  while (const dirent* entry = readdir(proc)) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    if (const auto stat = ReadStat(static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10)))) {
      all.push_back(*stat);
    }
  }
  closedir(proc);
  std::sort(all.begin(), all.end(),
            [](const ProcessStat& a, const ProcessStat& b) { return a.parent < b.parent; });
  return all;
}

std::vector<ProcessStat> DescendantsOf(pid_t root, const std::vector<ProcessStat>& all) {
  struct ByParent {
    bool operator()(const ProcessStat& p, pid_t parent) const { return p.parent < parent; }
    bool operator()(pid_t parent, const ProcessStat& p) const { return parent < p.parent; }
  };
  std::vector<ProcessStat> found;
  // Breadth first: what was found is looked at in turn. A snapshot may hold a cycle (pids reused
  // while it was taken), so no more is found than there is.
  for (size_t next = 0; next <= found.size() && found.size() <= all.size(); ++next) {
    const pid_t parent = next == 0 ? root : found[next - 1].pid;
    const auto [first, last] = std::equal_range(all.begin(), all.end(), parent, ByParent());
    found.insert(found.end(), first, last);
  }
  return found;
}

Fd OpenProcess(const ProcessName& name) {
  if (name.pid <= 0 || name.boot_id != BootId()) return Fd();
  Fd fd(static_cast<int>(syscall(SYS_pidfd_open, name.pid, 0)));
  if (!fd.valid()) return fd;
  // Opened first, compared second: a process with the right start time that is there now was there
  // when the descriptor was opened, so the descriptor is its.
  const auto stat = ReadStat(name.pid);
  if (!stat || stat->start_ticks != name.start_ticks) return Fd();
  return fd;
}

bool SendSignal(const Fd& pidfd, int signal) {
  return syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0;
}

void KillUser(uid_t uid) {
  const pid_t pid = fork();
  if (pid < 0) return;
  if (pid == 0) {
    // To all that it may signal, which is its own: under the kernel's lock on forks.
    if (setresuid(uid, uid, uid) == 0) kill(-1, SIGKILL);
    _exit(0);
  }
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

std::vector<uid_t> UsersOf(pid_t pid) {
  char path[40];
  std::snprintf(path, sizeof path, "/proc/%d/status", pid);
  const std::string text = ReadSmall(path);
  // The name, which comes first, shows newlines as \n.
  const size_t at = text.find("\nUid:");
  unsigned ids[4] = {};
  if (at == std::string::npos ||
      std::sscanf(text.c_str() + at, "\nUid: %u %u %u %u", &ids[0], &ids[1], &ids[2], &ids[3]) != 4)
    return {};
  return {ids, ids + 4};
}

std::vector<ProcessStat> ProcessesOfUser(uid_t uid) {
  std::vector<ProcessStat> found;
  for (const ProcessStat& process : AllProcesses()) {
    const auto users = UsersOf(process.pid);
    if (process.state != 'Z' && std::find(users.begin(), users.end(), uid) != users.end())
      found.push_back(process);
  }
  return found;
}

void SendSignal(const ProcessStat& stat, int signal) {
  const Fd fd(static_cast<int>(syscall(SYS_pidfd_open, stat.pid, 0)));
  if (!fd.valid()) return;
  const auto now = ReadStat(stat.pid);
  if (now && now->start_ticks == stat.start_ticks) SendSignal(fd, signal);
}

}  // namespace remuda::agent
