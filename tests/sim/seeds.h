// Runs simulated clusters, one a seed.
#pragma once

#include <cstdint>

#include "tests/sim/cluster.h"

namespace remuda::sim {

// Seeds first..last. REMUDA_SIM_SEED=N: only that one; REMUDA_SIM_SEEDS=N: up to N, from
// REMUDA_SIM_FIRST on. Fails the test for those that find something, and says how to run them
// again.
void RunSeeds(Life life, uint64_t first, uint64_t last);

}  // namespace remuda::sim
