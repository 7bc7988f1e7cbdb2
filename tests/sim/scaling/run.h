// One run: an app under a load, and who scales it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/scaling/measures.h"
#include "tests/sim/scaling/system.h"
#include "tests/sim/scaling/workloads.h"

namespace remuda::scaling_sim {

struct Scenario {
  Series series;
  AppTraits traits;
  uint64_t seed = 0;
};

// A workload's scenario of that seed, `stretch` times as long as the workload says.
Scenario Draw(const Workload& workload, uint64_t seed, double stretch = 1);

// One tick of a run, for a plot.
struct Point {
  double load = 0;      // requests a second
  double capacity = 0;  // of what is in service
  int running = 0;
  int desired = 0;
};

// Called after each tick.
using Watch = std::function<void(const App&, int tick, const Point&)>;

Measures Simulate(const Scenario& scenario, System& system, const Watch& watch = nullptr);

// Who is compared, in the order of the table.
struct Contender {
  std::string name;
  std::unique_ptr<System> (*make)(const Scenario& scenario);
};
const std::vector<Contender>& Contenders();

}  // namespace remuda::scaling_sim
