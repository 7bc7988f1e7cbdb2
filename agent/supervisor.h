// The processes of this host's instances: starts shims, takes up those that an earlier agent left,
// hears of their end, stops them. What runs and what is on disk is its business; what should run is
// not (see agent/core).
//
// Lives on the event loop's thread.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/event_loop.h"
#include "agent/instance_dir.h"
#include "agent/process.h"
#include "agent/record_file.h"

namespace remuda::agent {

// How a run ended.
struct RunEnd {
  int code = -1;  // -1: a signal ended it, or it never ran
  int signal = 0;
  int64_t ended_unix_ms = 0;
  bool requested = false;
  bool out_of_memory = false;
  bool to_prepare = false;  // it was stopped only to run later again
  std::string error;  // not empty: it could not be started, or nobody saw its end; for a person
  bool started = true;
};

enum class RunState {
  kNone,
  kStarting,
  kRunning,
  kStopping,
  kEnded,
  // A process that is no shim of it, as far as can be told, holds its directory's lock. It is
  // looked at again until that ends.
  kLocked,
};

// One instance's process, as far as it is known.
struct InstanceRun {
  RunState state = RunState::kNone;
  pid_t app_pid = 0;
  pid_t shim_pid = 0;
  int64_t started_unix_ms = 0;
  int port = 0;
  int restarts = 0;
  int generation = 0;  // of the assignment that it was started by
  std::vector<std::string> cgroups = {};
  std::optional<RunEnd> end = {};  // set when ended
};

// Whether it has a process, which may be ending.
inline bool IsAlive(const InstanceRun& run) {
  return run.state == RunState::kStarting || run.state == RunState::kRunning ||
         run.state == RunState::kStopping;
}

class Supervisor {
 public:
  struct Options {
    std::string instances_directory;
    std::string program;  // run as `program shim DIRECTORY`
    // Called after each change of a run's state, with the instance's id.
    std::function<void(const std::string&)> on_change = {};
    // Called once a run has ended, before on_change: whether it met its memory limit; may clean
    // cgroups up.
    std::function<bool(const std::string& id, const Record& run)> on_end = {};
    // Called before the directory of a forgotten instance is deleted: what is moved out of it
    // stays.
    std::function<void(const std::string& id)> on_forget = {};
    // Deletes a directory that nobody needs any more; it may be large. Unset: done at once.
    std::function<void(const std::string& path)> delete_tree = {};
    // A shim writes `running` within milliseconds of its start; a directory whose lock is held for
    // longer than this without such a record is kLocked.
    std::chrono::milliseconds adopt_patience{5000};
    // A shim has ended the tree when the grace and what it takes to kill (10 s at most) are over.
    // One that has not within this after the grace does not act (it was stopped, say) and is killed
    // itself.
    std::chrono::milliseconds stop_patience{20'000};
  };

  Supervisor(EventLoop& loop, Options options);
  ~Supervisor();

  // Takes up everything the directory holds. Once, first. Tells nobody: who decides something on
  // what one instance does must know of all of them, so look at all afterwards.
  void AdoptAll();
  // Starts the instance as `run` says (see record_file.h); its directory must exist, with the files
  // in app/.
  absl::Status Start(const std::string& id, const Record& run);
  // Signal, grace, kill of the tree. Asked again, the shorter grace counts. `to_prepare` comes with
  // the end, also where a later agent sees it.
  void Stop(const std::string& id, int signal, std::chrono::milliseconds grace,
            bool to_prepare = false);
  // Kills the app's first process, as if it had died: its shim ends the rest and tells of an end
  // that nobody asked for.
  void EndApp(const std::string& id);
  // Forgets a run that has ended, as if it had never been; files and logs stay.
  void Settle(const std::string& id);
  // Deletes what is on disk of an instance that does not run. FailedPrecondition if it does;
  // Unavailable if its directory is locked all the same.
  absl::Status Forget(const std::string& id);

  // nullptr: nothing is known of it.
  const InstanceRun* Find(const std::string& id) const;
  std::vector<std::string> Ids() const;
  // A new path in the instances' directory, for what is to be deleted: no instance has such a name,
  // and AdoptAll deletes what an earlier agent left of them.
  std::string DoomedPath(const std::string& id);
  InstanceDir Dir(const std::string& id) const { return {options_.instances_directory + "/" + id}; }
  // Reaps children that are not shims (orphans of a killed shim). Call on SIGCHLD.
  void ReapStrays();

 private:
  struct Entry {
    InstanceRun run;
    Fd pidfd;
    Fd ready;
    int tries = 0;  // of ending strays
    EventLoop::TimePoint adopting_since{};
    EventLoop::TimerId start_timer = 0;  // while kStarting: when that has taken too long
    std::string stuck;                   // why its start was given up; empty: it was not
    EventLoop::TimerId stop_timer = 0;   // while kStopping: when its end is overdue
    EventLoop::TimePoint stop_due{};     // while stop_timer is set
    bool is_overdue = false;             // its shim was killed for that
  };

  void Adopt(const std::string& id);
  void WatchShim(const std::string& id, Fd pidfd);
  void OnReady(const std::string& id);
  void OnShimGone(const std::string& id);
  void OnStuckStart(const std::string& id);
  // Gives the shim so long to end its tree; counts only if that is sooner than it had.
  void ExpectEnd(const std::string& id, std::chrono::milliseconds grace);
  void EndStrays(const std::string& id, const std::string& why);
  void Ended(const std::string& id, RunEnd end);
  void Changed(const std::string& id);
  void Delete(const std::string& path);
  void LoadRunning(const std::string& id, const Record& running);

  EventLoop& loop_;
  const Options options_;
  std::map<std::string, Entry> entries_;
  bool adopting_all_ = false;
  int deleted_ = 0;
};

// The lock that a living shim holds: while it is held here, nothing runs there and no shim can
// begin. Unavailable: another process has it.
absl::StatusOr<Fd> LockInstance(const InstanceDir& dir);

// Processes that carry `run_id` in their environment.
std::vector<ProcessStat> ProcessesOfRun(const std::string& run_id);

}  // namespace remuda::agent
