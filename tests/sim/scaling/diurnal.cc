// Diurnal: night and day.
#include <algorithm>
#include <cmath>

#include "tests/sim/scaling/workloads.h"

namespace remuda::scaling_sim {

// Night 150 to 400 requests a second, day 2.5 to 6 times that; the day is a cosine to the power of
// 1 to 2.
Series Diurnal(Random& random, absl::Duration length) {
  const double night = random.Uniform(150, 400);
  const double rise = night * random.Uniform(1.5, 5);
  const double power = random.Uniform(1, 2);
  const double phase = random.Uniform(0, 1);
  Series series;
  const int ticks = Ticks(length);
  for (int tick = 0; tick < ticks; ++tick) {
    const double wave = (1 - std::cos(2 * M_PI * (phase + tick / static_cast<double>(ticks)))) / 2;
    series.load.push_back(night + rise * std::pow(wave, power));
  }
  AddNoise(series, random, 0.03, absl::Minutes(1));
  return series;
}

}  // namespace remuda::scaling_sim
