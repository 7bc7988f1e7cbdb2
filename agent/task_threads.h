// Threads for work that blocks: fetching and unpacking images, copying and deleting trees, packing
// snapshots.
//
// A task owns what it needs and gives its result back by EventLoop::Post; it must not touch the
// loop's objects.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace remuda::agent {

class TaskThreads {
 public:
  explicit TaskThreads(int threads);
  // Waits for the tasks that have begun; the others are dropped.
  ~TaskThreads();

  // Any thread. Tasks begin in the order of their posting.
  void Post(std::function<void()> task);

 private:
  void Work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  bool ending_ = false;                      // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace remuda::agent
