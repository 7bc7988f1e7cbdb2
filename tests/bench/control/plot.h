// Plot: the scaling plot: what one change costs the controller, by the number of instances.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/control/report.h"

namespace remuda::bench {

// SVG, both axes logarithmic. Of the rows with as many agents and proxies as the first; a line for
// each of `keys`. Fewer than two such rows: empty.
std::string Plot(const std::vector<Row>& rows, const std::vector<std::string>& keys,
                 const std::string& title);

}  // namespace remuda::bench
