// Measures: what a run cost and what it failed to serve.
#pragma once

#include <optional>

#include "tests/sim/scaling/app.h"

namespace remuda::scaling_sim {

struct Measures {
  double requests = 0;
  double unserved = 0;        // requests above the capacity of what was in service
  double instance_hours = 0;  // of all that ran, also while it booted
  double over_hours = 0;      // of those beyond what serves the load at the target, and beyond min
  int actions = 0;            // changes of the desired number
  int oscillations = 0;       // out then in, or in then out, within 10 minutes
  int runs = 0;

  double UnservedShare() const { return requests == 0 ? 0 : unserved / requests; }
  void Add(const Measures& other);
};

// Takes the measures of one run.
class Meter {
 public:
  void Look(int tick, const App& app, double load, double served, int desired);
  const Measures& measures() const { return measures_; }

 private:
  struct Action {
    int tick = 0;
    bool is_out = false;
  };
  Measures measures_{.runs = 1};
  std::optional<int> desired_;
  std::optional<Action> last_;
};

}  // namespace remuda::scaling_sim
