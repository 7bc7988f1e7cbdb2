// FlashCrowd: everyone at once, who leave slowly.
#include <algorithm>
#include <cmath>

#include "tests/sim/scaling/workloads.h"

namespace remuda::scaling_sim {

// 150 to 350 requests a second; at 10 to 30 % of the time up to 4 to 8 times that within 1 to 3
// minutes, and back with a half-life of 10 to 30 minutes.
Series FlashCrowd(Random& random, absl::Duration length) {
  const double base = random.Uniform(150, 350);
  const double extra = base * random.Uniform(3, 7);
  const int ticks = Ticks(length);
  const int begin = static_cast<int>(ticks * random.Uniform(0.1, 0.3));
  const int rise = Ticks(random.Between(absl::Minutes(1), absl::Minutes(3)));
  const int half_life = Ticks(random.Between(absl::Minutes(10), absl::Minutes(30)));
  Series series;
  for (int tick = 0; tick < ticks; ++tick) {
    const int since = tick - begin;
    const double up = since < 0      ? 0
                      : since < rise ? static_cast<double>(since) / rise
                                     : std::pow(0.5, static_cast<double>(since - rise) / half_life);
    series.load.push_back(base + extra * up);
  }
  AddNoise(series, random, 0.03, absl::Minutes(1));
  return series;
}

}  // namespace remuda::scaling_sim
