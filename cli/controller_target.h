// What gRPC dials where there are several controllers.
#pragma once

#include <string>
#include <vector>

namespace remuda::cli {

// One: it as it is. Several: a target by which gRPC connects to the first that can be reached, in
// their order, and does so anew when that connection breaks. Names are resolved here, which blocks;
// those that cannot be are left out. None can be: the first, as it is. `addresses` is not empty.
std::string TargetOf(const std::vector<std::string>& addresses);

}  // namespace remuda::cli
