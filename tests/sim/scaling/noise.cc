// Noise: nothing happens, noisily.
#include <algorithm>
#include <cmath>

#include "tests/sim/scaling/workloads.h"

namespace remuda::scaling_sim {

// 300 to 1,500 requests a second with noise of 8 to 15 %, alike for 10 to 60 s.
Series Noise(Random& random, absl::Duration length) {
  Series series{
      .load = std::vector<double>(static_cast<size_t>(Ticks(length)), random.Uniform(300, 1500))};
  AddNoise(series, random, random.Uniform(0.08, 0.15),
           random.Between(absl::Seconds(10), absl::Seconds(60)));
  return series;
}

}  // namespace remuda::scaling_sim
