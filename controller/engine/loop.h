// Loop: the thread that owns the engine, the views, the sessions and the watchers. Others post to
// it.
//
// Owns: the queue, the timers. Does not own: what the tasks work on. After every round of tasks it
// calls one function, the turn, which says when it must be called again though nothing is posted.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "controller/engine/clock.h"
#include "controller/engine/metrics.h"

namespace remuda {

class Loop {
 public:
  using Task = std::function<void()>;

  Loop(const Clock& clock, Metrics& metrics) : clock_(clock), metrics_(metrics) {}
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop();  // stops

  // Starts the thread.
  void Start(std::function<absl::Time()> turn);
  // Runs what is posted, and what that posts, then ends the thread. May be called twice. Not on the
  // loop thread.
  void Stop();

  // Runs `task` on the loop thread, in the order of posting. Never refused: its callers bound
  // themselves (a session has one message under way, a commit one completion). Thread: any.
  void Post(Task task);

  // The same for a caller's request; RESOURCE_EXHAUSTED when limits::kMaxQueuedRequests wait
  // already. Thread: any.
  absl::Status PostRequest(Task task);

  // Runs `task` when the time has come. It cannot be taken back: capture weakly what may be gone.
  // Thread: the loop thread.
  void At(absl::Time time, Task task) { timers_.emplace(time, std::move(task)); }

 private:
  void Run();
  // Waits for tasks until `due` at the latest. False: stopped, and nothing is left.
  bool Take(absl::Time due, std::vector<Task>& tasks);
  void RunTimers(absl::Time until);

  const Clock& clock_;
  Metrics& metrics_;
  std::function<absl::Time()> turn_;        // constant after Start
  std::multimap<absl::Time, Task> timers_;  // the loop thread's
  std::thread thread_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable posted_;
  std::vector<Task> tasks_;
  bool stopping_ = false;
};

}  // namespace remuda
