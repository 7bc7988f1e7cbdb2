#include "controller/core/analysis/wilson.h"

#include <algorithm>
#include <cmath>

namespace remuda::core {

Interval Wilson95(int64_t some, int64_t all) {
  if (all <= 0) return {};
  constexpr double kZ = 1.959963984540054;  // of the normal distribution, 2.5 % are above
  const auto n = static_cast<double>(all);
  const double share = static_cast<double>(some) / n;
  const double weight = kZ * kZ / n;
  const double middle = share + weight / 2;
  const double spread = kZ * std::sqrt(share * (1 - share) / n + weight / (4 * n));
  return {.low = some == 0 ? 0 : std::max(0.0, (middle - spread) / (1 + weight)),
          .high = some == all ? 1 : std::min(1.0, (middle + spread) / (1 + weight))};
}

}  // namespace remuda::core
