// Series: a load over time, and when its metrics do not arrive. A value.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <vector>

namespace remuda::scaling_sim {

// One step of the simulation. Loads, CPU and what is in service are constant within it.
inline constexpr absl::Duration kTick = absl::Seconds(5);

// Ticks in a duration, rounded down.
inline int Ticks(absl::Duration duration) { return static_cast<int>(duration / kTick); }

// Metrics of `percent` of the instances do not arrive in the ticks [from, to).
struct Gap {
  int from = 0;
  int to = 0;
  int percent = 100;
};

struct Series {
  std::vector<double> load;  // requests a second, one a tick
  std::vector<Gap> gaps = {};

  int ticks() const { return static_cast<int>(load.size()); }
};

}  // namespace remuda::scaling_sim
