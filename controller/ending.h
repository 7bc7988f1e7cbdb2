// Ending: how the program's end is said, by whichever thread sees it first. Thread: any.
#pragma once

#include <unistd.h>

#include <atomic>
#include <future>
#include <mutex>

#include "controller/store/store.h"

namespace remuda {

// An exit code that no program has: begin anew, in the same process.
inline constexpr int kBeginAnew = 256;

class Ending {
 public:
  // The first one counts; but the program does not begin anew once it was told to end.
  void Begin(int code) {
    const std::lock_guard lock(mutex_);
    if (code != kBeginAnew) {
      is_told_to_end_ = true;
      // Nothing is left to be ended in order.
      if (is_beginning_anew_) _exit(code);
    }
    if (begun_.exchange(true)) return;
    exit_code_.set_value(code);
    if (store_ != nullptr) store_->StopCampaign();
  }
  bool begun() const { return begun_; }
  // Asked once, when all else has ended: false, if it was told to end meanwhile. From then on that
  // ends the process at once.
  bool MayBeginAnew() {
    const std::lock_guard lock(mutex_);
    is_beginning_anew_ = !is_told_to_end_;
    return is_beginning_anew_;
  }
  // Waits until it has begun. Once.
  int Await() { return exit_code_.get_future().get(); }
  // Begin ends the campaign of this store, which may wait for long; null: of none.
  void SetCampaign(Store* campaigns) {
    const std::lock_guard lock(mutex_);
    store_ = campaigns;
    if (begun_ && store_ != nullptr) store_->StopCampaign();
  }

 private:
  std::promise<int> exit_code_;
  std::atomic<bool> begun_ = false;
  std::mutex mutex_;  // guards what follows
  Store* store_ = nullptr;
  bool is_told_to_end_ = false;
  bool is_beginning_anew_ = false;
};

}  // namespace remuda
