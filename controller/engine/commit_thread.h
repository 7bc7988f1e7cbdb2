// CommitThread: makes changes durable on a thread of its own, so that the loop never waits for a
// disk.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "controller/engine/engine.h"
#include "controller/engine/loop.h"
#include "controller/store/store.h"

namespace remuda {

class CommitThread final : public Committer {
 public:
  // All outlive it. From here on only this thread uses the store.
  CommitThread(Store& store, int64_t epoch, Loop& loop);
  CommitThread(const CommitThread&) = delete;
  CommitThread& operator=(const CommitThread&) = delete;
  ~CommitThread() override;  // stops

  void Begin(std::shared_ptr<const core::Changes> changes, Done done) override;

  // Finishes the commit under way and ends the thread; its outcome is still posted. May be called
  // twice.
  void Stop();

 private:
  struct Work {
    std::shared_ptr<const core::Changes> changes;
    Done done;
  };
  void Run();

  Store& store_;
  const int64_t epoch_;
  Loop& loop_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::optional<Work> work_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace remuda
