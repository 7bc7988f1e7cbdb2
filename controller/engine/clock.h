// Clock: where the shell's "now" comes from. Only the shell reads it; the core gets times as
// arguments.
#pragma once

#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <chrono>

namespace remuda {

class Clock {
 public:
  virtual ~Clock() = default;
  // Never goes back while the program runs. Thread: any.
  virtual absl::Time Now() const = 0;
};

// The wall's time when it was made, and the monotonic clock from there on: a step of the wall's
// clock ends no lease and no grace.
class MonotonicClock final : public Clock {
 public:
  absl::Time Now() const override {
    return start_ + absl::FromChrono(std::chrono::steady_clock::now() - steady_start_);
  }

 private:
  const absl::Time start_ = absl::Now();
  const std::chrono::steady_clock::time_point steady_start_ = std::chrono::steady_clock::now();
};

}  // namespace remuda
