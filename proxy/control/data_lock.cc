#include "proxy/control/data_lock.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace remuda::proxy {

absl::StatusOr<DataLock> DataLock::Take(const std::string& directory) {
  std::error_code error;
  const auto path = std::filesystem::absolute(directory, error).lexically_normal();
  std::filesystem::create_directories(path.parent_path(), error);
  mkdir(path.c_str(), 0700);
  const std::string name = directory + "/lock";
  Descriptor file(open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.is_open())
    return absl::FailedPreconditionError(absl::StrCat(name, ": ", std::strerror(errno)));
  if (flock(file.get(), LOCK_EX | LOCK_NB) == 0) {
    DataLock lock(std::move(file));
    lock.Note();
    return lock;
  }
  if (errno != EWOULDBLOCK)
    return absl::FailedPreconditionError(absl::StrCat(name, ": flock: ", std::strerror(errno)));
  char pid[24] = {};
  const ssize_t got = pread(file.get(), pid, sizeof pid - 1, 0);
  const std::string whose = got > 0 ? std::string(pid, std::strcspn(pid, "\n")) : "?";
  return absl::UnavailableError(absl::StrCat(
      "data directory ", directory, ": process ", whose,
      " serves from it; end that one, take over from it (--takeover), or name another --data-dir"));
}

void DataLock::Note() const {
  const std::string pid = std::to_string(getpid()) + "\n";
  // For people: the lock is the file's, whatever stands in it.
  if (ftruncate(file_.get(), 0) != 0 ||
      pwrite(file_.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return;
  }
}

}  // namespace remuda::proxy
