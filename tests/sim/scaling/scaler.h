// Scaler: a baseline: what it sees, and what it answers.
#pragma once

#include <optional>
#include <vector>

namespace remuda::scaling_sim {

// One instance in one tick.
struct Sample {
  int id = 0;
  int launched = 0;          // tick
  std::optional<int> ready;  // tick since which it passes its check and takes requests
  bool has_metrics = true;   // whether its CPU is heard of
  double cpu = 0;            // share of its CPU
};

struct Sight {
  int tick = 0;
  int desired = 0;
  std::vector<Sample> instances;  // all that run
};

class Scaler {
 public:
  virtual ~Scaler() = default;
  // Each tick. Answers the number of instances that it wants; what it saw in `sight`, if that is
  // fine.
  virtual int Desired(const Sight& sight) = 0;
};

}  // namespace remuda::scaling_sim
