// Ramp: a steady climb, and a steady descent.
#include <algorithm>
#include <cmath>

#include "tests/sim/scaling/workloads.h"

namespace remuda::scaling_sim {

// 150 to 350 requests a second; within 20 to 40 minutes to 3 to 6 times that, held for as long, and
// back.
Series Ramp(Random& random, absl::Duration length) {
  const double base = random.Uniform(150, 350);
  const double extra = base * random.Uniform(2, 5);
  const int ticks = Ticks(length);
  const int climb =
      std::min(Ticks(random.Between(absl::Minutes(20), absl::Minutes(40))), ticks / 4);
  const int begin = random.Below(std::max(1, ticks - 3 * climb));
  Series series;
  for (int tick = 0; tick < ticks; ++tick) {
    const double up = std::clamp((tick - begin) / static_cast<double>(climb), 0.0, 1.0);
    const double down =
        std::clamp((tick - begin - 2 * climb) / static_cast<double>(climb), 0.0, 1.0);
    series.load.push_back(base + extra * (up - down));
  }
  AddNoise(series, random, 0.03, absl::Minutes(1));
  return series;
}

}  // namespace remuda::scaling_sim
