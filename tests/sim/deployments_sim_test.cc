// Deployments by every strategy in thousands of short lives of simulated clusters, one a seed. A
// failing seed is printed; REMUDA_SIM_SEED=N runs it alone, REMUDA_SIM_TRACE=1 prints its commits.
#include <gtest/gtest.h>

#include "tests/sim/seeds.h"

namespace remuda::sim {
namespace {

constexpr uint64_t kParts = 4;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kSeedsAPart = 250;  // what a sanitizer finds, few lives show
#else
constexpr uint64_t kSeedsAPart = 2500;
#endif

class DeploymentsSim : public ::testing::TestWithParam<uint64_t> {};

TEST_P(DeploymentsSim, KeepWhatTheirStrategiesPromise) {
  RunSeeds(Life::kStrategies, GetParam() * kSeedsAPart + 1, (GetParam() + 1) * kSeedsAPart);
}

INSTANTIATE_TEST_SUITE_P(Parts, DeploymentsSim, ::testing::Range(uint64_t{0}, kParts));

}  // namespace
}  // namespace remuda::sim
