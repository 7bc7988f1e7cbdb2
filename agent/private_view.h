// What of the host's files one app sees: a mount namespace of its own, with its own /tmp, /var/tmp
// and /dev/shm, no other user's processes in /proc, and nothing of the agent's directory but its
// own; and an IPC namespace of its own, so that shared memory and queues of System V end with it.
//
// Plain C++: the shim uses it, between fork and exec. Needs CAP_SYS_ADMIN.
#pragma once

#include <string>
#include <vector>

namespace remuda::agent {

struct PrivateView {
  std::string app;  // the app's own directory; stays visible and writable
  std::string tmp;  // becomes /tmp and /var/tmp; empty: those stay as they are
  // Directories of which nothing is to be seen but what is in `app` and `keep`. Canonical paths.
  std::vector<std::string> hidden;
  // Directories that stay visible below hidden ones and /tmp: to be read, and to be written.
  std::vector<std::string> keep;
  std::vector<std::string> keep_writable;
  std::string failed;  // after Enter: what could not be done

  // Moves the calling process into it. 0 or an errno; `failed` then says at what.
  int Enter();

 private:
  int Fail(const std::string& what);
  int Hide(const std::string& directory);
};

// The part of `path` to hide so that a user without rights can still pass to what is below it
// again: the first directory on the way that not everybody may pass through, or `path` itself.
std::string FirstClosed(const std::string& path);

}  // namespace remuda::agent
