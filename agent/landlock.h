// Which files an app may read, run and write, whatever its user may: Landlock.
//
// Plain C++: the shim uses it, between fork and exec.
#pragma once

#include <string>
#include <vector>

#include "agent/process.h"

namespace remuda::agent {

class Landlock {
 public:
  // What this kernel has; 0: none. Below kNeeded an app could not even rename within its own
  // directory.
  static int Version();
  static constexpr int kNeeded = 2;

  // Rules for what is mounted now; the right to open the directories is needed. 0 or an errno.
  // What is not there is left out. `writable` may be written, read and run; `readable` be read and
  // run. Beside these the system's directories (SystemDirectories) and devices, or nothing.
  enum class Beside { kSystem, kNothing };
  int Make(const std::vector<std::string>& readable, const std::vector<std::string>& writable,
           Beside beside = Beside::kSystem);
  // Puts the rules on the calling process and all that descends from it; no_new_privs must be set.
  // From kernel 6.12 on nobody outside is signalled then, or reached by an abstract socket.
  int Restrict();

  // The host's own programs, libraries and settings.
  static std::vector<std::string> SystemDirectories();

  std::string failed;  // after an error: at what

 private:
  int Allow(const std::string& path, unsigned long long rights);

  Fd rules_;
};

}  // namespace remuda::agent
