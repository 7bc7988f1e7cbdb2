// Waiting for what no message announces.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace remuda {

// Long, for a loaded machine: only a test that fails waits for it.
inline constexpr std::chrono::seconds kWaitDeadline{30};

// Looks at `condition` every few milliseconds until it holds; false if it does not in time.
inline bool WaitUntil(const std::function<bool()>& condition,
                      std::chrono::seconds deadline = kWaitDeadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace remuda
