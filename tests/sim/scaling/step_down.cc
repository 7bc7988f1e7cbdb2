// StepDown: most of the load goes at once.
#include <algorithm>
#include <cmath>

#include "tests/sim/scaling/workloads.h"

namespace remuda::scaling_sim {

// 800 to 1,600 requests a second; at 20 to 50 % of the time down to 20 to 50 %.
Series StepDown(Random& random, absl::Duration length) {
  const double high = random.Uniform(800, 1600);
  const double low = high * random.Uniform(0.2, 0.5);
  const int ticks = Ticks(length);
  const int at = static_cast<int>(ticks * random.Uniform(0.2, 0.5));
  Series series;
  for (int tick = 0; tick < ticks; ++tick) series.load.push_back(tick < at ? high : low);
  AddNoise(series, random, 0.03, absl::Minutes(1));
  return series;
}

}  // namespace remuda::scaling_sim
