// Comparison: every contender on every workload, over many seeds; and how it is written down.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "tests/sim/scaling/run.h"

namespace remuda::scaling_sim {

// (workload, contender) → the sum over the seeds.
using Results = std::map<std::pair<std::string, std::string>, Measures>;

// Seeds 1..`seeds` of each workload, at `stretch` times its length.
Results Compare(int seeds, double stretch);

// A table in Markdown.
std::string Table(const Results& results);

// One run of the workload by each contender, as SVG.
std::string ChartOf(const Workload& workload, uint64_t seed);

}  // namespace remuda::scaling_sim
