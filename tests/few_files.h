// While one lives, this process can open only so many files more: a shortage that a test can make
// anywhere. For tests of one thread.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace remuda {

class FewFiles {
 public:
  explicit FewFiles(int files) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(lowest);
    rlimit few = before_;
    few.rlim_cur = static_cast<rlim_t>(lowest + files);
    setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FewFiles() { setrlimit(RLIMIT_NOFILE, &before_); }
  FewFiles(const FewFiles&) = delete;
  FewFiles& operator=(const FewFiles&) = delete;

 private:
  rlimit before_{};
};

}  // namespace remuda
