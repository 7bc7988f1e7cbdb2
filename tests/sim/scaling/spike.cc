// Spike: short, high, unannounced.
#include <algorithm>
#include <cmath>

#include "tests/sim/scaling/workloads.h"

namespace remuda::scaling_sim {

// 200 to 500 requests a second; 1 to 3 spikes to 2 to 5 times that: up within 10 to 60 s, held for
// 2 to 10 minutes, down as fast.
Series Spike(Random& random, absl::Duration length) {
  const double base = random.Uniform(200, 500);
  const int ticks = Ticks(length);
  Series series{.load = std::vector<double>(static_cast<size_t>(ticks), base)};
  const int spikes = 1 + random.Below(3);
  for (int spike = 0; spike < spikes; ++spike) {
    const double extra = base * random.Uniform(1, 4);
    const int edge = Ticks(random.Between(absl::Seconds(10), absl::Seconds(60)));
    const int held = Ticks(random.Between(absl::Minutes(2), absl::Minutes(10)));
    const int share = ticks / spikes;
    const int begin = spike * share + random.Below(std::max(1, share - held - 2 * edge));
    for (int i = 0; i < held + 2 * edge && begin + i < ticks; ++i) {
      const double up = std::min({1.0, (i + 1.0) / edge, (held + 2.0 * edge - i) / edge});
      series.load[static_cast<size_t>(begin + i)] += extra * up;
    }
  }
  AddNoise(series, random, 0.03, absl::Minutes(1));
  return series;
}

}  // namespace remuda::scaling_sim
