#include "controller/store/state_lock.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/status.h"

namespace remuda {

absl::StatusOr<StateLock> StateLock::Take(const std::string& file) {
  StateLock lock(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.fd_ < 0)
    return Unavailable(absl::StrCat(file, ": cannot be opened: ", std::strerror(errno)));
  if (flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return Unavailable(absl::StrCat(file, ": cannot be locked: ", std::strerror(errno)));
    char holder[32] = {};
    const ssize_t size = pread(lock.fd_, holder, sizeof holder - 1, 0);
    return absl::AlreadyExistsError(size > 0 ? std::string(holder, static_cast<size_t>(size))
                                             : "unknown");
  }
  const std::string me = std::to_string(getpid());
  if (ftruncate(lock.fd_, 0) != 0 || pwrite(lock.fd_, me.data(), me.size(), 0) < 0) {
    // Only the hint for a person is missing; the lock holds.
  }
  return lock;
}

StateLock::~StateLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace remuda
