// The program started once more by a running one (SIGUSR2), as it was started itself: the file may
// be another one by now. The new process takes over by itself (--takeover).
//
// Thread: the control loop's.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace remuda::proxy {

class Successor {
 public:
  // `arguments`: as this process was started. Notes where the program is.
  explicit Successor(std::vector<std::string> arguments);

  // Starts it; `more` (NAME=VALUE) goes into its environment besides. Empty, or why not.
  std::string Start(std::vector<std::string> more);
  // Processes that ended (SIGCHLD): how, if that one did; else empty.
  std::string Reap();
  pid_t pid() const { return pid_; }
  bool is_running() const { return pid_ > 0; }

 private:
  std::string program_;  // path
  std::vector<std::string> arguments_;
  pid_t pid_ = 0;  // 0: none runs
};

}  // namespace remuda::proxy
