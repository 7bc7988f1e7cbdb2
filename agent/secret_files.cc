#include "agent/secret_files.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <spdlog/spdlog.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "agent/process.h"

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

// Each instance's directory is its user's alone; this one is only passed through.
constexpr mode_t kMode = 0711;

absl::Status Refused(const std::string& what) {
  return absl::FailedPreconditionError(absl::StrCat("secret files: ", what));
}

absl::Status Failed(const std::string& what, const std::string& path) {
  return absl::UnavailableError(
      absl::StrCat("secret files: cannot ", what, " ", path, ": ", std::strerror(errno)));
}

bool WriteSecret(int fd, const std::string& bytes) {
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t count = write(fd, bytes.data() + at, bytes.size() - at);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    at += static_cast<size_t>(count);
  }
  return true;
}

}  // namespace

bool SecretFiles::IsMounted() const {
  struct stat here {
  }, above{};
  struct statfs system {};
  const std::string parent = fs::path(directory_).parent_path().string();
  return stat(directory_.c_str(), &here) == 0 && stat(parent.c_str(), &above) == 0 &&
         statfs(directory_.c_str(), &system) == 0 && here.st_dev != above.st_dev &&
         system.f_type == TMPFS_MAGIC;
}

absl::Status SecretFiles::Mount() {
  if (IsMounted()) return absl::OkStatus();
  if (geteuid() != 0)
    return Refused("the agent is not root, so it cannot make a file system in memory");
  if (mkdir(directory_.c_str(), kMode) != 0 && errno != EEXIST) return Failed("make", directory_);
  const std::string options = absl::StrCat("mode=0711,size=", kMaxBytes);
  if (mount("remuda-secrets", directory_.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
            options.c_str()) != 0) {
    return Refused(absl::StrCat("a file system in memory cannot be mounted at ", directory_, ": ",
                                std::strerror(errno)));
  }
  return absl::OkStatus();
}

void SecretFiles::Unmount() {
  std::error_code error;
  if (!IsMounted() || !fs::is_empty(directory_, error) || error) return;
  // One that is in use (somebody looks into it) stays until next time.
  if (umount2(directory_.c_str(), UMOUNT_NOFOLLOW) == 0) rmdir(directory_.c_str());
}

absl::Status SecretFiles::Ready() {
  if (!ready_) {
    ready_ = Mount();
    Unmount();
  }
  return *ready_;
}

absl::Status SecretFiles::Write(const std::string& path,
                                const std::map<std::string, std::string>& files,
                                std::optional<Owner> owner) {
  if (mkdir(path.c_str(), 0700) != 0) return Failed("make", path);
  for (const auto& [name, value] : files) {
    const std::string file = absl::StrCat(path, "/", name);
    const Fd fd(open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400));
    if (!fd.valid() || !WriteSecret(fd.get(), value)) return Failed("write", file);
    // The mode too: the umask may have taken from it.
    if (fchmod(fd.get(), 0400) != 0 || (owner && fchown(fd.get(), owner->uid, owner->gid) != 0))
      return Failed("give away", file);
  }
  if (chmod(path.c_str(), 0500) != 0 || (owner && chown(path.c_str(), owner->uid, owner->gid) != 0))
    return Failed("give away", path);
  return absl::OkStatus();
}

absl::StatusOr<std::string> SecretFiles::Put(const std::string& instance,
                                             const std::map<std::string, std::string>& files,
                                             std::optional<Owner> owner) {
  if (absl::Status status = Mount(); !status.ok()) return status;
  const std::string path = absl::StrCat(directory_, "/", instance);
  std::error_code error;
  fs::remove_all(path, error);
  if (absl::Status status = Write(path, files, owner); !status.ok()) {
    Remove(instance);
    return status;
  }
  return path;
}

void SecretFiles::Remove(const std::string& instance) {
  if (!IsMounted()) return;
  const std::string path = absl::StrCat(directory_, "/", instance);
  std::error_code error;
  fs::remove_all(path, error);
  if (error) spdlog::error("secret files: cannot remove {}: {}", path, error.message());
  Unmount();
}

void SecretFiles::RemoveAllBut(const std::set<std::string>& instances) {
  if (!IsMounted()) return;
  std::vector<std::string> gone;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory_, error)) {
    const std::string name = entry.path().filename().string();
    if (!instances.contains(name)) gone.push_back(name);
  }
  for (const std::string& name : gone) Remove(name);
  Unmount();
}

}  // namespace remuda::agent
