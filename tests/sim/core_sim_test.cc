// Thousands of simulated clusters, one a seed. A failing seed is printed; run it alone with
// --seed=N or REMUDA_SIM_SEED=N. REMUDA_SIM_SEEDS says how many (default kSeeds).
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

#include "tests/sim/cluster.h"

namespace remuda::sim {
namespace {

constexpr uint64_t kSeeds = 1000;

uint64_t NumberFrom(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(CoreSim, HoldsItsPromisesWhateverHappens) {
  const uint64_t only = NumberFrom("REMUDA_SIM_SEED", 0);
  const uint64_t first = only != 0 ? only : 1;
  const uint64_t last = only != 0 ? only : NumberFrom("REMUDA_SIM_SEEDS", kSeeds);
  int failures = 0;
  int64_t requests = 0;
  int64_t turns = 0;
  for (uint64_t seed = first; seed <= last && failures < 5; ++seed) {
    Cluster cluster(seed);
    const std::string wrong = cluster.Run();
    requests += cluster.requests();
    turns += cluster.turns();
    if (!wrong.empty()) {
      ++failures;
      ADD_FAILURE() << wrong << "\nagain: REMUDA_SIM_SEED=" << seed;
    }
  }
  std::cout << "seeds " << first << ".." << last << ", " << turns << " turns, " << requests
            << " requests\n";
  EXPECT_GT(requests, 0);
}

}  // namespace
}  // namespace remuda::sim

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--seed=", 7) == 0) setenv("REMUDA_SIM_SEED", argv[i] + 7, 1);
  }
  return RUN_ALL_TESTS();
}
