// The file server of a launch template's `static_site`: HTTP/1.1 from the files of one directory,
// as the instance's own process, contained as every app is.
//
// One thread. Serves GET and HEAD, ranges, entity tags; never a file that a link leads to outside.
#pragma once

#include <functional>
#include <string>

#include "agent/record_file.h"

namespace remuda::agent {

struct SiteLimits {
  static constexpr int kConnections = 1000;  // more wait to be accepted
  static constexpr int kHeaderBytes = 8 * 1024;
  static constexpr int kHeaderSeconds = 10;  // for a request that has begun
  static constexpr int kIdleSeconds = 60;
  static constexpr int kStallSeconds = 30;  // of a receiver that takes nothing
};

// Serves what the run record says, in the working directory, until a signal to stop: no connection
// is accepted then, idle ones are closed, and it returns once the others have their answers.
// Returns the process's exit code. `begun` is called once: with 0 when it listens, with an errno
// when it cannot.
int ServeSite(const Record& run, const std::function<void(int error)>& begun);

}  // namespace remuda::agent
