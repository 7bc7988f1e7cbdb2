// From the shim's fork to the app's first instruction: session, cgroups, what it sees of the host,
// limits, user, privileges, descriptors, environment. Each step that fails keeps the app from
// running.
//
// The child waits until it is told to go, so that the parent can write down its pid first.
// Plain C++: the shim uses it. Single-threaded processes only (code runs between fork and exec).
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "agent/landlock.h"
#include "agent/private_view.h"
#include "agent/process.h"
#include "agent/record_file.h"

namespace remuda::agent {

// Serves a static site in this process (static_site.h), of which the shim must know nothing more.
using SiteServer = int (*)(const Record& run, const std::function<void(int error)>& begun);

class AppStart {
 public:
  struct Failure {
    std::string step;  // what was being done
    int error = 0;     // errno; 0: it did not fail
  };

  // `run` as in record_file.h; `output_fd` becomes the app's stdout and stderr. `serve_site` is
  // what runs in place of a program where the record says so.
  AppStart(const Record& run, std::string directory, int output_fd, SiteServer serve_site);

  // The waiting child's pid, or -1 with errno.
  pid_t Fork();
  // Lets the child go on, and waits until the app's program runs or could not be run (the child has
  // then ended).
  Failure Go();
  // Ends the waiting child.
  void Abandon();

 private:
  enum Step : int {
    kSession,
    kJoinCgroup,
    kTmp,
    kView,
    kLimits,
    kRules,
    kUser,
    kPrivileges,
    kDirectory,
    kOutput,
    kFilter,
    kProgram
  };
  // Written at once: below what a pipe takes whole.
  struct Report {
    int step;
    int error;
    char detail[200];
  };

  [[noreturn]] void Child(pid_t shim, int go_fd, int report_fd);
  std::string Describe(const Report& report) const;
  // Each: 0 or an errno, of the child.
  int MakeTmp() const;
  int LimitSelf() const;

  // In place of a program. `report_fd` is told how the begin went.
  [[noreturn]] void ServeSite(int report_fd) const;

  const Record run_;
  const SiteServer serve_site_;
  const std::vector<std::string> args_;
  const std::vector<std::string> env_;
  const std::vector<std::string> cgroups_;
  const std::string directory_;
  const int output_fd_;
  const std::string tmp_;
  const std::vector<std::string> readable_, writable_;
  const bool no_capabilities_, has_landlock_, has_seccomp_, has_view_;
  const int64_t open_files_, file_bytes_;
  PrivateView view_;
  Landlock landlock_;
  bool changes_user_ = false;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
  std::vector<gid_t> groups_;

  pid_t pid_ = -1;
  Fd go_;      // write end: one byte means go, its end means give up
  Fd report_;  // read end: a Report, or its end when the program runs (close on exec)
};

}  // namespace remuda::agent
