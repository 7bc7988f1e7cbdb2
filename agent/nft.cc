#include "agent/nft.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string_view>

#include "agent/process.h"

namespace remuda::agent {
namespace {

constexpr size_t kMaxErrorBytes = 512;

std::string Because(std::string_view what, int error) {
  return std::string(what) + ": " + std::strerror(error);
}

bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return lseek(fd, 0, SEEK_SET) == 0;
}

// Only what a child of a program with threads may do.
[[noreturn]] void Become(char* const* args, int input, int output) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  char* const environment[] = {nullptr};
  // dup2 of a descriptor onto itself would leave it closed at exec: none of these is below 3.
  const bool ok = dup2(input, 0) == 0 && dup2(output, 1) == 1 && dup2(output, 2) == 2 &&
                  syscall(SYS_close_range, 3u, ~0u, 0u) == 0;
  if (ok) execve(args[0], args, environment);
  _exit(127);
}

// A descriptor of 3 or above, so that Become finds 0 to 2 free.
Fd MakeFile(const char* name) {
  Fd file(memfd_create(name, MFD_CLOEXEC));
  if (!file.valid() || file.get() > 2) return file;
  return Fd(fcntl(file.get(), F_DUPFD_CLOEXEC, 3));
}

// What it said, on one line.
std::string TextOf(int fd) {
  std::string text(kMaxErrorBytes, '\0');
  const ssize_t n = pread(fd, text.data(), text.size(), 0);
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  text = text.substr(0, text.find('\n'));
  return text;
}

}  // namespace

std::string FindNft() {
  const char* path = std::getenv("PATH");
  std::string folders = path == nullptr ? "" : path;
  folders += ":/usr/sbin:/sbin:/usr/local/sbin";
  for (size_t begin = 0; begin <= folders.size();) {
    const size_t end = std::min(folders.find(':', begin), folders.size());
    const std::string file = folders.substr(begin, end - begin) + "/nft";
    if (file.size() > 4 && access(file.c_str(), X_OK) == 0) return file;
    begin = end + 1;
  }
  return "";
}

std::string RunNft(const std::string& program, const std::string& text, bool only_check) {
  const Fd input = MakeFile("nft-input");
  const Fd output = MakeFile("nft-output");
  if (!input.valid() || !output.valid() || !WriteAll(input.get(), text))
    return Because("hand the rules to nft", errno);
  std::string name = program, check = "-c", file = "-f", standard_input = "-";
  char* const checking[] = {name.data(), check.data(), file.data(), standard_input.data(), nullptr};
  char* const doing[] = {name.data(), file.data(), standard_input.data(), nullptr};
  // Without a signal at its end: who reaps the host's strays does not find it.
  int raw_pidfd = -1;
  const long pid = syscall(SYS_clone, CLONE_PIDFD, nullptr, &raw_pidfd, nullptr, nullptr);
  if (pid == 0) Become(only_check ? checking : doing, input.get(), output.get());
  if (pid < 0) return Because("begin " + program, errno);
  const Fd pidfd(raw_pidfd);
  pollfd ended{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  const auto patience = std::chrono::milliseconds(kNftPatience).count();
  int ready = 0;
  do {
    ready = poll(&ended, 1, static_cast<int>(patience));
  } while (ready < 0 && errno == EINTR);
  const bool is_late = ready == 0;
  if (is_late) syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
  int status = 0;
  while (waitpid(static_cast<pid_t>(pid), &status, __WALL) < 0 && errno == EINTR) {
  }
  if (is_late) return program + " did not end within 5s and was killed";
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return "";
  const std::string said = TextOf(output.get());
  return said.empty() ? program + " failed" : program + ": " + said;
}

}  // namespace remuda::agent
