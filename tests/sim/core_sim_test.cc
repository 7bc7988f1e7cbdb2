// Thousands of simulated clusters, one a seed. A failing seed is printed; run it alone with
// --seed=N or REMUDA_SIM_SEED=N. REMUDA_SIM_SEEDS says how many (default kSeeds).
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "tests/sim/seeds.h"

namespace remuda::sim {
namespace {

constexpr uint64_t kSeeds = 1000;

TEST(CoreSim, HoldsItsPromisesWhateverHappens) { RunSeeds(Life::kBlueGreen, 1, kSeeds); }

}  // namespace
}  // namespace remuda::sim

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--seed=", 7) == 0) setenv("REMUDA_SIM_SEED", argv[i] + 7, 1);
  }
  return RUN_ALL_TESTS();
}
