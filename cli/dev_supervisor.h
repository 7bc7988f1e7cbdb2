// Keeps the programs of `remuda dev` running: starts them in order, waits until each is ready,
// starts one that ended again after a wait that grows, and stops all of them in order.
//
// Owns the children and the process's SIGINT, SIGTERM, SIGHUP and SIGCHLD (blocked, and read from a
// signalfd). Does not own the data directory's lock. Thread: main only.
#pragma once

#include <absl/status/status.h>

#include <chrono>
#include <functional>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "cli/dev_plan.h"

namespace remuda::cli {

using SteadyTime = std::chrono::steady_clock::time_point;

// How long to wait before a program that ended is started again: 250ms, doubled each time it ends
// young, at most 10 s.
class RestartBackoff {
 public:
  // `lived`: how long it ran.
  std::chrono::milliseconds Next(std::chrono::milliseconds lived);

 private:
  int young_deaths_ = 0;
};

class DevSupervisor {
 public:
  // Blocks the signals; construct before the process has other threads.
  DevSupervisor(DevOptions options, std::ostream& err);
  DevSupervisor(const DevSupervisor&) = delete;
  DevSupervisor& operator=(const DevSupervisor&) = delete;
  ~DevSupervisor();  // kills what still runs

  // Starts the controller, waits for it, calls `before_rest`, starts the rest, waits for them.
  // CANCELLED: a signal came. Else the error names the program and holds the end of its log.
  absl::Status Start(const std::function<absl::Status()>& before_rest);
  // Handles what happens for `duration`, or until a signal asks to stop or `done` is true. False:
  // asked to stop.
  bool RunFor(std::chrono::milliseconds duration, const std::function<bool()>& done = nullptr);
  // SIGTERM stage by stage, SIGKILL to those that do not end in time, or when a second signal
  // comes.
  void Stop();

  bool stop_requested() const { return signals_seen_ > 0; }
  // Valid after Start.
  std::string controller_address() const;
  std::string join_address() const;
  const DevOptions& options() const { return options_; }
  std::vector<DevProgram> programs() const;
  // 0 if it is not running just now.
  int PidOf(const std::string& name) const;
  // Grows whenever what programs() or PidOf say changes.
  int changes() const { return changes_; }

 private:
  struct Child {
    DevProgram program;
    int pid = 0;  // 0: not running
    bool is_ready = false;
    bool was_ready = false;  // once
    SteadyTime started;
    SteadyTime restart_at;
    bool restart_planned = false;
    RestartBackoff backoff;
  };

  absl::Status Launch(Child& child);
  absl::Status AwaitReady();
  void PollOnce(std::chrono::milliseconds wait);
  void ReadSignals();
  void ReapChildren();
  void OnExit(Child& child, int wait_status);
  void ReadReadyFile(Child& child);
  void RestartDue();
  void BoundLogs();
  bool StageEnded(int stage) const;
  void SignalStage(int stage, int signal);

  DevOptions options_;
  std::ostream& err_;
  std::vector<Child> children_;
  int signal_fd_ = -1;
  int signals_seen_ = 0;  // that ask to stop
  int changes_ = 0;
  bool is_stopping_ = false;
  absl::Status start_error_;  // a child that ended before it was ever ready
  SteadyTime logs_bounded_at_;
};

}  // namespace remuda::cli
