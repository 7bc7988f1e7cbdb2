#include "tests/sim/scaling/run.h"

#include <algorithm>

#include "tests/sim/scaling/aws.h"
#include "tests/sim/scaling/hpa.h"
#include "tests/sim/scaling/remuda.h"
#include "tests/sim/scaling/replica_set.h"

namespace remuda::scaling_sim {

Scenario Draw(const Workload& workload, uint64_t seed, double stretch) {
  Random random(seed);
  Scenario out{
      .series = workload.make(random, workload.length * stretch), .traits = {}, .seed = seed};
  out.traits = DrawTraits(random, out.series.ticks());
  return out;
}

Measures Simulate(const Scenario& scenario, System& system, const Watch& watch) {
  App app(scenario.traits, scenario.seed);
  const AppTraits& traits = app.traits();
  system.Begin(app, std::clamp(traits.NeededFor(scenario.series.load[0]), traits.min, traits.max));
  Meter meter;
  for (int tick = 0; tick < scenario.series.ticks(); ++tick) {
    const double load = scenario.series.load[static_cast<size_t>(tick)];
    app.Advance(tick);
    const double served = app.Serve(tick, load, scenario.series.gaps);
    const int running = static_cast<int>(app.processes().size());
    meter.Look(tick, app, load, served, system.desired());
    const double capacity = app.Capacity(tick);
    system.Step(app, tick);
    if (watch) watch(app, tick, {load, capacity, running, system.desired()});
  }
  return meter.measures();
}

const std::vector<Contender>& Contenders() {
  static const auto* const kAll = new std::vector<Contender>{
      {"HPA",
       [](const Scenario& scenario) -> std::unique_ptr<System> {
         return std::make_unique<ReplicaSet>(std::make_unique<Hpa>(scenario.traits.target));
       }},
      {"AWS",
       [](const Scenario& scenario) -> std::unique_ptr<System> {
         return std::make_unique<ReplicaSet>(std::make_unique<Aws>(scenario.traits.target));
       }},
      {"Remuda",
       [](const Scenario& scenario) -> std::unique_ptr<System> {
         return std::make_unique<Remuda>(TrackCpu(scenario.traits));
       }},
  };
  return *kAll;
}

}  // namespace remuda::scaling_sim
