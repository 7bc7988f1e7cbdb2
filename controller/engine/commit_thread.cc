#include "controller/engine/commit_thread.h"

namespace remuda {

CommitThread::CommitThread(Store& store, int64_t epoch, Loop& loop)
    : store_(store), epoch_(epoch), loop_(loop), thread_([this] { Run(); }) {}

CommitThread::~CommitThread() { Stop(); }

void CommitThread::Begin(std::shared_ptr<const core::Changes> changes, Done done) {
  {
    const std::lock_guard lock(mutex_);
    work_ = Work{std::move(changes), std::move(done)};
  }
  changed_.notify_one();
}

void CommitThread::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void CommitThread::Run() {
  while (true) {
    std::optional<Work> work;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return work_.has_value() || stopping_; });
      work.swap(work_);
    }
    if (!work.has_value()) return;
    absl::StatusOr<int64_t> commit = store_.Commit(*work->changes, epoch_);
    loop_.Post([done = std::move(work->done), commit = std::move(commit)] { done(commit); });
  }
}

}  // namespace remuda
