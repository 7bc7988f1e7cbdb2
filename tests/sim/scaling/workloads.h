// Workloads: the loads that scalers are tried with. Each draws its parameters from the seed; the
// ranges stand in its file. Requests a second; an instance serves some 40 to 160.
#pragma once

#include <absl/time/time.h>

#include <string>
#include <vector>

#include "tests/sim/scaling/series.h"
#include "tests/sim/scheduler.h"

namespace remuda::scaling_sim {

using sim::Random;

struct Workload {
  std::string name;
  std::string sentence;  // what it is, for a reader of the table
  absl::Duration length;
  Series (*make)(Random& random, absl::Duration length);
};

// All of them, in the order of the table.
const std::vector<Workload>& Workloads();
const Workload& FindWorkload(const std::string& name);

Series Diurnal(Random& random, absl::Duration length);
Series Weekly(Random& random, absl::Duration length);
Series Spike(Random& random, absl::Duration length);
Series FlashCrowd(Random& random, absl::Duration length);
Series Ramp(Random& random, absl::Duration length);
Series Noise(Random& random, absl::Duration length);
Series StepDown(Random& random, absl::Duration length);
// Any of the others, with gaps.
Series MissingMetrics(Random& random, absl::Duration length);

// Multiplies each tick by a noise of that standard deviation; neighbours are alike (half of the
// noise is gone after `memory`).
void AddNoise(Series& series, Random& random, double deviation, absl::Duration memory);

}  // namespace remuda::scaling_sim
