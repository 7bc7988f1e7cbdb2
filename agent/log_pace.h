// How fast an app's output is taken: what it prints in bursts at once, what it prints without end
// at a bounded pace. An app that prints faster waits for its pipe, which costs it what it costs
// anybody to print so much; without a bound the shim would spend most of a core on lines that are
// rotated away within a second.
//
// Plain C++: the shim uses it. Pure: the time is an argument.
#pragma once

#include <algorithm>
#include <cstdint>

namespace remuda::agent {

class LogPace {
 public:
  static constexpr int64_t kBytesPerSecond = int64_t{32} << 20;
  static constexpr int64_t kBurstBytes = int64_t{16} << 20;
  // Long enough that the pipe is full again, so that few reads take much.
  static constexpr int64_t kPauseMs = 8;

  void Took(int64_t bytes, int64_t now_ms) {
    level_ = LevelAt(now_ms) + bytes;
    at_ms_ = now_ms;
  }
  // Until more may be taken; 0: now.
  int64_t WaitMs(int64_t now_ms) const {
    const int64_t over = LevelAt(now_ms) - kBurstBytes;
    return over <= 0 ? 0 : std::max(kPauseMs, over * 1000 / kBytesPerSecond);
  }

 private:
  int64_t LevelAt(int64_t now_ms) const {
    // Over no more than is needed to forget a whole burst, so that nothing overflows.
    const int64_t elapsed_ms = std::clamp<int64_t>(now_ms - at_ms_, 0, 10'000);
    return std::max<int64_t>(0, level_ - elapsed_ms * kBytesPerSecond / 1000);
  }

  int64_t level_ = 0;  // bytes taken, less what time has forgiven
  int64_t at_ms_ = 0;
};

}  // namespace remuda::agent
