// Weekly: five working days and a weekend.
#include <algorithm>
#include <cmath>

#include "tests/sim/scaling/workloads.h"

namespace remuda::scaling_sim {

// Seven days of the same shape, each 0.9 to 1.1 times the first; the last two 0.4 to 0.7 times.
Series Weekly(Random& random, absl::Duration length) {
  const double night = random.Uniform(150, 400);
  const double rise = night * random.Uniform(1.5, 5);
  const double weekend = random.Uniform(0.4, 0.7);
  Series series;
  const int day_ticks = Ticks(length / 7);
  for (int day = 0; day < 7; ++day) {
    const double high = rise * random.Uniform(0.9, 1.1) * (day < 5 ? 1 : weekend);
    for (int tick = 0; tick < day_ticks; ++tick) {
      const double wave = (1 - std::cos(2 * M_PI * tick / static_cast<double>(day_ticks))) / 2;
      series.load.push_back(night + high * std::pow(wave, 1.5));
    }
  }
  AddNoise(series, random, 0.03, absl::Minutes(1));
  return series;
}

}  // namespace remuda::scaling_sim
