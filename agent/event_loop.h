// The agent's one loop: descriptors, timers and posted tasks, all handled on the thread that calls
// Run.
//
// Everything that the agent knows and decides lives on this thread; other threads only Post.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "agent/process.h"

namespace remuda::agent {

class EventLoop {
 public:
  using Task = std::function<void()>;
  using TimePoint = std::chrono::steady_clock::time_point;
  using TimerId = uint64_t;

  EventLoop();

  // Runs until Quit; tasks already posted are run first.
  void Run();
  // Any thread. Makes Run return; a later Run goes on.
  void Quit();
  // Any thread. Tasks run in the order of their posting.
  void Post(Task task);

  // Loop thread (or before Run). `ready` runs each time the descriptor is readable, until Unwatch.
  // Unwatch before closing it.
  void Watch(int fd, Task ready);
  void Unwatch(int fd);

  // Loop thread. Runs `task` once, not before `when`.
  TimerId At(TimePoint when, Task task);
  TimerId After(std::chrono::milliseconds delay, Task task) {
    return At(Now() + delay, std::move(task));
  }
  // No effect if it ran already.
  void Cancel(TimerId id);

  static TimePoint Now() { return std::chrono::steady_clock::now(); }

 private:
  void RunPosted();
  void RunTimers();
  int WaitMs() const;

  Fd epoll_;
  Fd wake_;            // eventfd
  bool quit_ = false;  // loop thread
  // A number for each watch, since descriptors' numbers come again: an event of a round that was
  // fetched before is not taken for one of a descriptor that was opened since.
  struct Watched {
    uint32_t number;
    Task ready;
  };
  std::map<int, Watched> watched_;
  uint32_t next_watch_ = 0;
  std::map<std::pair<TimePoint, TimerId>, Task> timers_;
  std::map<TimerId, TimePoint> timer_times_;
  TimerId next_timer_ = 1;

  std::mutex mutex_;
  std::vector<Task> posted_;  // guarded by mutex_
};

}  // namespace remuda::agent
