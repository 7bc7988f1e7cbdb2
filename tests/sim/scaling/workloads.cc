#include "tests/sim/scaling/workloads.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace remuda::scaling_sim {
namespace {

// About normal, deviation 1.
double Normal(Random& random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += random.Uniform(0, 1);
  return sum;
}

}  // namespace

const std::vector<Workload>& Workloads() {
  static const auto* const kAll = new std::vector<Workload>{
      {"diurnal", "a day: a night's low, a day's high, 3 % noise", absl::Hours(24), Diurnal},
      {"weekly", "seven days in 28 hours, the last two lower", absl::Hours(28), Weekly},
      {"spike", "1 to 3 spikes of 2 to 10 minutes to 2 to 5 times the load", absl::Hours(2), Spike},
      {"flash crowd", "up to 4 to 8 times the load within 1 to 3 minutes, then slowly back",
       absl::Hours(2), FlashCrowd},
      {"ramp", "up to 3 to 6 times the load within 20 to 40 minutes, held, and back",
       absl::Hours(3), Ramp},
      {"noise", "the same load all the time, with 8 to 15 % noise", absl::Hours(2), Noise},
      {"step down", "down to 20 to 50 % at once", absl::Hours(2), StepDown},
      {"missing metrics", "one of the others, with metrics of some or all instances missing",
       absl::Hours(3), MissingMetrics},
  };
  return *kAll;
}

const Workload& FindWorkload(const std::string& name) {
  const auto it = std::find_if(Workloads().begin(), Workloads().end(),
                               [&](const Workload& workload) { return workload.name == name; });
  assert(it != Workloads().end());
  return *it;
}

void AddNoise(Series& series, Random& random, double deviation, absl::Duration memory) {
  const double kept = std::pow(0.5, absl::FDivDuration(kTick, memory));
  const double fresh = std::sqrt(1 - kept * kept);
  double noise = Normal(random);
  for (double& load : series.load) {
    noise = kept * noise + fresh * Normal(random);
    load *= std::max(0.1, 1 + deviation * noise);
  }
}

}  // namespace remuda::scaling_sim
