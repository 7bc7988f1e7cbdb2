// Pulse: whether each of several loops still answers. A question is posted to each; as long as one
// of them has not answered, the program as a whole is not alive, and nothing more is asked.
//
// Thread: Beat on one, Answer on any. No clock, no I/O: who asks says when.
#pragma once

#include <atomic>
#include <cstddef>

namespace remuda {

class Pulse {
 public:
  explicit Pulse(size_t parts) : parts_(parts), answers_(parts) {}

  // Whether all have answered the last question (true the first time). If so a new one begins:
  // have each part call Answer once.
  bool Beat() {
    if (answers_.load(std::memory_order_acquire) != parts_) return false;
    answers_.store(0, std::memory_order_release);
    return true;
  }
  void Answer() { answers_.fetch_add(1, std::memory_order_acq_rel); }

 private:
  const size_t parts_;
  std::atomic<size_t> answers_;
};

}  // namespace remuda
