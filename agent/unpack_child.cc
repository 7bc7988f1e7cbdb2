#include "agent/unpack_child.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "agent/landlock.h"
#include "agent/privileges.h"
#include "agent/process.h"
#include "agent/seccomp_filter.h"

namespace remuda::agent {
namespace {

// What the child may say; an error names an entry, of which a part is shown.
constexpr size_t kMaxAnswerBytes = 16 * 1024;
constexpr int kArguments = 8;
// What names mean is asked of a locale (common/archive).
constexpr char kLocales[] = "/usr/lib/locale";

}  // namespace

int EncloseUnpacking(const std::string& archive, const std::string& directory,
                     const ArchiveLimits& limits, const char*& step) {
  const auto limit = [](auto resource, uint64_t value) {
    const rlimit both{value, value};
    return setrlimit(resource, &both) == 0 ? 0 : errno;
  };
  step = "set its limits";
  using std::chrono::seconds;
  if (const int error =
          limit(RLIMIT_CPU, static_cast<uint64_t>(seconds(UnpackLimits::kTime).count()));
      error != 0)
    return error;
  if (const int error = limit(RLIMIT_FSIZE, limits.max_content_bytes); error != 0) return error;
  if (const int error = limit(RLIMIT_CORE, 0); error != 0) return error;
  if (const int error = limit(RLIMIT_NOFILE, UnpackLimits::kOpenFiles); error != 0) return error;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  if (const int error = limit(RLIMIT_AS, UnpackLimits::kMemoryBytes); error != 0) return error;
#endif
  signal(SIGXFSZ, SIG_IGN);
  step = "give up privileges";
  if (const int error = ForbidCapabilities(); error != 0) return error;
  Landlock landlock;
  const bool has_landlock = Landlock::Version() >= Landlock::kNeeded;
  step = "restrict it to its files";
  if (has_landlock) {
    std::vector<std::string> writable;
    if (!directory.empty()) writable.push_back(directory);
    if (const int error = landlock.Make({archive, kLocales}, writable, Landlock::Beside::kNothing);
        error != 0)
      return error;
  }
  // The directories on the way may be another user's; where Landlock holds, they are all it passes.
  if (const int error = GiveUpPrivileges(/*keeps_files=*/has_landlock); error != 0) return error;
  if (has_landlock) {
    if (const int error = landlock.Restrict(); error != 0) return error;
  }
  step = "restrict its system calls";
  const int error = FilterSystemCalls(FilterOf::kUnpacking);
  return error == EINVAL ? 0 : error;  // a kernel without filters
}

namespace {

std::optional<UnpackedArchive> CountsIn(const std::string& answer, int& code, size_t& message_at) {
  unsigned long long bytes = 0, entries = 0;
  int length = 0;
  if (std::sscanf(answer.c_str(), "%d %llu %llu\n%n", &code, &bytes, &entries, &length) != 3)
    return std::nullopt;
  message_at = static_cast<size_t>(length);
  return UnpackedArchive{.content_bytes = bytes, .entries = entries};
}

enum class Came { kWhole, kTooLate, kCancelled };

// Reads until the end, or the deadline, or until `cancel_fd` is readable.
Came ReadUntil(const Fd& from, int cancel_fd, std::chrono::steady_clock::time_point deadline,
               std::string& text) {
  char buffer[4096];
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return Came::kTooLate;
    pollfd polled[2] = {{from.get(), POLLIN, 0}, {cancel_fd, POLLIN, 0}};
    if (poll(polled, 2, static_cast<int>(left.count())) <= 0) continue;
    if (polled[1].revents != 0) return Came::kCancelled;
    if (polled[0].revents == 0) continue;
    const ssize_t n = read(from.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Came::kWhole;
    if (text.size() < kMaxAnswerBytes) text.append(buffer, static_cast<size_t>(n));
  }
}

}  // namespace

absl::StatusOr<UnpackedArchive> UnpackInChild(const std::string& program,
                                              const std::string& archive_path,
                                              const std::string& directory,
                                              const ArchiveLimits& limits, int cancel_fd) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
  std::string arguments[kArguments] = {"remuda-agent",
                                       "unpack",
                                       archive_path,
                                       directory,
                                       absl::StrCat(limits.max_content_bytes),
                                       absl::StrCat(limits.max_entries),
                                       absl::StrCat(limits.max_names_bytes),
                                       absl::StrCat(getpid())};
  char* args[kArguments + 1] = {};
  for (int i = 0; i < kArguments; ++i) args[i] = arguments[i].data();
  char* environment[] = {nullptr};
  pid_t pid = 0;
  const int error = posix_spawn(&pid, program.c_str(), &actions, &attributes, args, environment);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return absl::UnavailableError(absl::StrCat("unpack: ", std::strerror(error)));
  write_end.Reset();
  // Its number may be another's once it has ended: the agent reaps strays.
  const Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  std::string answer;
  const Came came = ReadUntil(read_end, cancel_fd,
                              std::chrono::steady_clock::now() + UnpackLimits::kTime, answer);
  if (came != Came::kWhole && pidfd.valid()) SendSignal(pidfd, SIGKILL);
  // The agent reaps strays; one that it has reaped meanwhile has ended.
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (came == Came::kCancelled) return absl::CancelledError("unpack: it is given up");
  int code = 0;
  size_t message_at = 0;
  const auto counts = CountsIn(answer, code, message_at);
  if (!counts) {
    return absl::UnavailableError(came == Came::kWhole
                                      ? "unpack: the process that reads the archive was ended"
                                      : "unpack: the archive takes too long to read");
  }
  if (code == 0) return *counts;
  return absl::Status(static_cast<absl::StatusCode>(code), answer.substr(message_at));
}

int UnpackMain(int argc, char** argv) {
  if (argc != kArguments) return 2;
  // Without who waits for it, it would go on writing where a later agent unpacks the same image.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != std::strtol(argv[7], nullptr, 10))
    return 3;
  const std::string archive = argv[2], directory = argv[3];
  ArchiveLimits limits;
  limits.max_content_bytes = std::strtoull(argv[4], nullptr, 10);
  limits.max_entries = std::strtoull(argv[5], nullptr, 10);
  limits.max_names_bytes = std::strtoull(argv[6], nullptr, 10);
  const char* step = "";
  absl::StatusOr<UnpackedArchive> result = UnpackedArchive{};
  if (const int error = EncloseUnpacking(archive, directory, limits, step); error != 0) {
    result = absl::UnavailableError(absl::StrCat("unpack: ", step, ": ", std::strerror(error)));
  } else if (directory.empty()) {
    result = CheckArchive(archive, limits, nullptr);
  } else {
    result = UnpackArchive(archive, directory, limits);
  }
  const UnpackedArchive counts = result.value_or(UnpackedArchive{});
  const std::string text =
      absl::StrCat(static_cast<int>(result.status().code()), " ", counts.content_bytes, " ",
                   counts.entries, "\n", result.status().message());
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0
             ? 0
             : 1;
}

}  // namespace remuda::agent
