// What a fuzz target holds of every input.
#pragma once

#include <cstdlib>

namespace remuda {

inline void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace remuda
