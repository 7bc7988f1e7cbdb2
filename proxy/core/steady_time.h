// The clock of everything that is decided by elapsed time.
#pragma once

#include <chrono>

namespace remuda::proxy {

using SteadyTime = std::chrono::steady_clock::time_point;

}  // namespace remuda::proxy
