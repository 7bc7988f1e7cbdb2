#include "proxy/core/subset_state.h"

#include <algorithm>

namespace remuda::proxy {

SubsetCounts SubsetState::Sum() const {
  SubsetCounts sum;
  for (const SubsetSlot& slot : slots_) {
    sum.errors += static_cast<int64_t>(slot.errors.Get());
    sum.requests += static_cast<int64_t>(slot.requests.Get());
    sum.mirrored_errors += static_cast<int64_t>(slot.mirrored_errors.Get());
    sum.mirrored += static_cast<int64_t>(slot.mirrored.Get());
    sum.bytes_in += static_cast<int64_t>(slot.bytes_in.Get());
    sum.bytes_out += static_cast<int64_t>(slot.bytes_out.Get());
    for (size_t i = 0; i < kLatencyBuckets; ++i)
      sum.latency[i] += static_cast<int64_t>(slot.latency[i].Get());
  }
  // A request that ends meanwhile may have been seen in one of both.
  sum.errors = std::min(sum.errors, sum.requests);
  sum.mirrored_errors = std::min(sum.mirrored_errors, sum.mirrored);
  return sum;
}

}  // namespace remuda::proxy
