#include "agent/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace remuda::agent {
namespace {

// The header may be older than the kernel.
constexpr uint64_t kTruncate = uint64_t{1} << 14;     // version 3
constexpr uint64_t kDeviceIoctl = uint64_t{1} << 15;  // version 5
constexpr uint64_t kScopeSockets = uint64_t{1} << 0;  // version 6
constexpr uint64_t kScopeSignals = uint64_t{1} << 1;  // version 6
struct Ruleset {
  uint64_t handled_files;
  uint64_t handled_ports;
  uint64_t scoped;
};

constexpr uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kRun = kRead | LANDLOCK_ACCESS_FS_EXECUTE;
constexpr uint64_t kVersion2 = (uint64_t{1} << 14) - 1;

uint64_t Handled(int version) {
  uint64_t rights = kVersion2;
  if (version >= 3) rights |= kTruncate;
  if (version >= 5) rights |= kDeviceIoctl;
  return rights;
}

// What makes no device: an app has no right to one anyway.
uint64_t Writable(int version) {
  return Handled(version) & ~(LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK);
}

// Of a file, those rights alone that a file can have.
constexpr uint64_t kOfFiles = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                              LANDLOCK_ACCESS_FS_EXECUTE | kTruncate | kDeviceIoctl;

}  // namespace

int Landlock::Version() {
  const long version =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version < 0 ? 0 : static_cast<int>(version);
}

std::vector<std::string> Landlock::SystemDirectories() {
  return {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/sys",
          // Where the resolver's settings are linked to.
          "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager"};
}

int Landlock::Allow(const std::string& path, unsigned long long rights) {
  const Fd fd(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd.valid()) return errno == ENOENT || errno == EACCES || errno == ENOTDIR ? 0 : errno;
  struct stat st {};
  if (fstat(fd.get(), &st) != 0) return errno;
  landlock_path_beneath_attr rule{};
  rule.allowed_access = S_ISDIR(st.st_mode) ? rights : rights & kOfFiles;
  rule.parent_fd = fd.get();
  if (syscall(SYS_landlock_add_rule, rules_.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0)
    return 0;
  failed = "allow " + path;
  return errno;
}

int Landlock::Make(const std::vector<std::string>& readable,
                   const std::vector<std::string>& writable, Beside beside) {
  const int version = Version();
  Ruleset ruleset{Handled(version), 0, version >= 6 ? kScopeSockets | kScopeSignals : 0};
  const size_t bytes = version >= 6 ? sizeof ruleset : sizeof ruleset.handled_files;
  rules_ = Fd(static_cast<int>(syscall(SYS_landlock_create_ruleset, &ruleset, bytes, 0)));
  if (!rules_.valid()) {
    failed = "make a ruleset";
    return errno;
  }
  const auto allow = [&](const std::vector<std::string>& paths, uint64_t rights) {
    for (const std::string& path : paths) {
      if (const int error = Allow(path, rights & Handled(version)); error != 0) return error;
    }
    return 0;
  };
  if (const int error = allow(readable, kRun); error != 0) return error;
  if (const int error = allow(writable, Writable(version)); error != 0) return error;
  if (beside == Beside::kNothing) return 0;
  if (const int error = allow(SystemDirectories(), kRun); error != 0) return error;
  if (const int error = allow({"/proc"}, kRead); error != 0) return error;
  return allow(
      {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"},
      LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate | kDeviceIoctl);
}

int Landlock::Restrict() {
  if (syscall(SYS_landlock_restrict_self, rules_.get(), 0) == 0) return 0;
  failed = "keep to the rules";
  return errno;
}

}  // namespace remuda::agent
