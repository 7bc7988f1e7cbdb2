// Chart: a load and what each contender has in service for it, over time.
#pragma once

#include <absl/time/time.h>

#include <string>
#include <vector>

namespace remuda::scaling_sim {

struct Line {
  std::string name;
  std::string color;
  std::vector<double> values;  // one a tick
};

// SVG. `area` is drawn as an area behind the lines, in the same unit. Time goes from left to right,
// one tick after the other; of the ticks of a column the highest is drawn.
std::string Chart(const std::string& title, const Line& area, const std::vector<Line>& lines);

}  // namespace remuda::scaling_sim
