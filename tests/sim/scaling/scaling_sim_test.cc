// Thousands of simulated apps that the real core scales, one a seed; and that it does better than
// the baselines. A failing seed is printed; run it alone with REMUDA_SIM_SEED=N.
// REMUDA_SIM_SEEDS says how many.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <map>

#include "tests/sim/scaling/comparison.h"
#include "tests/sim/scaling/promises.h"
#include "tests/sim/scaling/remuda.h"

namespace remuda::scaling_sim {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kSeeds = 1'000;  // what a sanitizer finds, few runs show
#else
constexpr uint64_t kSeeds = 10'000;
#endif
constexpr int kFailuresShown = 5;
// So long is a run, whatever the workload.
constexpr absl::Duration kLength = absl::Minutes(20);
constexpr int kComparedSeeds = 12;
constexpr double kComparedStretch = 0.25;

uint64_t NumberFrom(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// What it broke; empty: nothing.
std::string RunSeed(uint64_t seed, Measures& sum) {
  const Workload& workload = Workloads()[seed % Workloads().size()];
  const Scenario scenario = Draw(workload, seed, absl::FDivDuration(kLength, workload.length));
  Remuda remuda(TrackCpu(scenario.traits));
  Promises promises(scenario);
  sum.Add(Simulate(scenario, remuda, [&](const App& app, int tick, const Point& point) {
    promises.Look(app, tick, point);
  }));
  return promises.broken().empty() ? "" : workload.name + ", " + promises.broken();
}

TEST(ScalingSim, HoldsItsPromisesWhateverTheLoad) {
  const uint64_t only = NumberFrom("REMUDA_SIM_SEED", 0);
  const uint64_t first = only != 0 ? only : 1;
  const uint64_t last = only != 0 ? only : NumberFrom("REMUDA_SIM_SEEDS", kSeeds);
  Measures sum;
  int failures = 0;
  for (uint64_t seed = first; seed <= last && failures < kFailuresShown; ++seed) {
    const std::string broken = RunSeed(seed, sum);
    if (broken.empty()) continue;
    ++failures;
    ADD_FAILURE() << broken << "\nagain: REMUDA_SIM_SEED=" << seed;
  }
  std::cout << "seeds " << first << ".." << last << ": " << sum.instance_hours
            << " instance-hours, " << sum.actions << " actions\n";
  EXPECT_GT(sum.actions, 0);
}

TEST(ScalingSim, ActsSeldomUnderALoadThatStays) {
  // Of a noise of 8 to 15 %. Out and in again take 150 s at least.
  constexpr int kMostActionsAnHour = 30;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    const Scenario scenario = Draw(FindWorkload("noise"), seed, 0.5);
    Remuda remuda(TrackCpu(scenario.traits));
    EXPECT_LE(Simulate(scenario, remuda).actions, kMostActionsAnHour) << "seed " << seed;
  }
}

// Of all seeds of a workload together: no more unserved requests, and no more instance-hours.
TEST(ScalingSim, ServesMoreForNoMoreThanHpaOnEveryWorkload) {
  const Results results = Compare(kComparedSeeds, kComparedStretch);
  std::cout << Table(results);
  for (const Workload& workload : Workloads()) {
    const Measures& ours = results.at({workload.name, "Remuda"});
    const Measures& hpa = results.at({workload.name, "HPA"});
    EXPECT_LE(ours.unserved, hpa.unserved) << workload.name;
    EXPECT_LE(ours.instance_hours, hpa.instance_hours) << workload.name;
  }
}

}  // namespace
}  // namespace remuda::scaling_sim
