// MissingMetrics: a load that is not always seen.
#include <algorithm>
#include <cmath>

#include "tests/sim/scaling/workloads.h"

namespace remuda::scaling_sim {

// 2 to 4 gaps of 1 to 10 minutes; in half of them nothing is seen of any instance, in the others of
// 20 to 80 % of them.
Series MissingMetrics(Random& random, absl::Duration length) {
  using Make = Series (*)(Random&, absl::Duration);
  const Make make = random.Of<Make>({Diurnal, Weekly, Spike, FlashCrowd, Ramp, Noise, StepDown});
  Series series = make(random, length);
  const int gaps = 2 + random.Below(3);
  for (int i = 0; i < gaps; ++i) {
    const int held = Ticks(random.Between(absl::Minutes(1), absl::Minutes(10)));
    const int from = random.Below(std::max(1, series.ticks() - held));
    const int percent = random.OneIn(2) ? 100 : 20 + random.Below(61);
    series.gaps.push_back({.from = from, .to = from + held, .percent = percent});
  }
  return series;
}

}  // namespace remuda::scaling_sim
