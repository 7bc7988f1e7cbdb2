// From the shim's fork to the app's first instruction: session, user, cgroups, limits, descriptors,
// environment.
//
// The child waits until it is told to go, so that the parent can write down its pid first.
// Plain C++: the shim uses it. Single-threaded processes only (code runs between fork and exec).
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "agent/process.h"
#include "agent/record_file.h"

namespace remuda::agent {

class AppStart {
 public:
  struct Failure {
    std::string step;  // what was being done
    int error = 0;     // errno; 0: it did not fail
  };

  // `run` as in record_file.h; `output_fd` becomes the app's stdout and stderr.
  AppStart(const Record& run, std::string directory, int output_fd);

  // The waiting child's pid, or -1 with errno.
  pid_t Fork();
  // Lets the child go on, and waits until the app's program runs or could not be run (the child has
  // then ended).
  Failure Go();
  // Ends the waiting child.
  void Abandon();

 private:
  enum Step : int { kSession, kJoinCgroup, kUser, kPrivileges, kDirectory, kOutput, kProgram };
  struct Report {
    int step;
    int error;
  };

  [[noreturn]] void Child(pid_t shim, int go_fd, int report_fd);
  std::string Describe(int step) const;

  const std::vector<std::string> args_;
  const std::vector<std::string> env_;
  const std::vector<std::string> cgroups_;
  const std::string directory_;
  const int output_fd_;
  bool changes_user_ = false;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
  std::vector<gid_t> groups_;

  pid_t pid_ = -1;
  Fd go_;      // write end: one byte means go, its end means give up
  Fd report_;  // read end: a Report, or its end when the program runs (close on exec)
};

}  // namespace remuda::agent
