#include "tests/sim/seeds.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <string>

namespace remuda::sim {
namespace {

constexpr int kFailuresShown = 5;

uint64_t NumberFrom(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

void RunSeeds(Life life, uint64_t first, uint64_t last) {
  const uint64_t only = NumberFrom("REMUDA_SIM_SEED", 0);
  if (only != 0 || std::getenv("REMUDA_SIM_SEEDS") != nullptr) {
    if (first != 1) GTEST_SKIP() << "only those that REMUDA_SIM_SEED or REMUDA_SIM_SEEDS asks for";
    first = only != 0 ? only : NumberFrom("REMUDA_SIM_FIRST", 1);
    last = only != 0 ? only : NumberFrom("REMUDA_SIM_SEEDS", last);
  }
  int failures = 0;
  int64_t requests = 0;
  int64_t turns = 0;
  std::map<std::string, int> ends;
  for (uint64_t seed = first; seed <= last && failures < kFailuresShown; ++seed) {
    Cluster cluster(seed, life);
    const std::string wrong = cluster.Run();
    requests += cluster.requests();
    turns += cluster.turns();
    for (const auto& [end, count] : cluster.ends()) ends[end] += count;
    if (!wrong.empty()) {
      ++failures;
      ADD_FAILURE() << wrong << "\nagain: REMUDA_SIM_SEED=" << seed;
    }
  }
  std::cout << "seeds " << first << ".." << last << ", " << turns << " turns, " << requests
            << " requests";
  for (const auto& [end, count] : ends) std::cout << ", " << count << " " << end;
  std::cout << "\n";
  EXPECT_GT(requests, 0);
}

}  // namespace remuda::sim
