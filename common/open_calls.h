// OpenCalls: calls whose reactors gRPC still has, so that who owns their channel can wait for them.
// A channel's last owner must not let go of it on one of gRPC's threads: gRPC 1.51 then joins that
// thread from itself, and aborts.
//
// Any thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace remuda {

class OpenCalls {
 public:
  OpenCalls() = default;
  OpenCalls(const OpenCalls&) = delete;
  OpenCalls& operator=(const OpenCalls&) = delete;

  // Before the call starts.
  void Begin() {
    const std::lock_guard lock(mutex_);
    ++count_;
  }
  // The last thing that OnDone does, when its thread holds nothing of the call any more.
  void End() {
    const std::lock_guard lock(mutex_);
    --count_;
    changed_.notify_all();
  }
  void WaitUntilNone() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t count_ = 0;  // guarded by mutex_
};

}  // namespace remuda
