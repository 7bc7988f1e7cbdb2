// Deployments by every strategy while people and apps take instances out and bring them back, hold
// them by hooks, protect them and suspend what the group does: short lives, one a seed, as in
// deployments_sim_test.cc.
#include <gtest/gtest.h>

#include "tests/sim/seeds.h"

namespace remuda::sim {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kSeeds = 200;
#else
constexpr uint64_t kSeeds = 600;
#endif

TEST(LifecycleSim, EveryLifeKeepsWhatIsPromisedAndComesToRest) {
  RunSeeds(Life::kLifecycle, 1, kSeeds);
}

}  // namespace
}  // namespace remuda::sim
