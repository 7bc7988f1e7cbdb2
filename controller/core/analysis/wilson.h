// The Wilson score interval of a share (E. B. Wilson, 1927). Pure.
#pragma once

#include <cstdint>

namespace remuda::core {

struct Interval {
  double low = 0;
  double high = 1;
};

// Where the true share lies with 95 %, if `some` of `all` were seen; 0 to 1 if `all` is 0. The ends
// are exactly 0 and 1 where none and all were. 0 <= some <= all.
Interval Wilson95(int64_t some, int64_t all);

}  // namespace remuda::core
