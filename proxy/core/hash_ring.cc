#include "proxy/core/hash_ring.h"

#include <algorithm>

namespace remuda::proxy {

uint32_t PointsOf(uint32_t weight, uint32_t max_weight, bool is_uniform) {
  if (is_uniform) return kPointsATarget;
  if (max_weight <= kMaxPointFactor) return weight * kPointsATarget;
  const uint64_t scaled = uint64_t{weight} * kMaxPointFactor * kPointsATarget / max_weight;
  return static_cast<uint32_t>(std::max<uint64_t>(scaled, 1));
}

void HashRing::Build() {
  int bits = 1;
  while (bits < 24 && (size_t{1} << bits) < places_.size()) ++bits;
  shift_ = 64 - bits;
  const size_t count = size_t{1} << bits;
  starts_.resize(count);
  size_t at = 0;
  for (size_t prefix = 0; prefix < count; ++prefix) {
    while (at < places_.size() && (places_[at] >> shift_) < prefix) ++at;
    starts_[prefix] = static_cast<uint32_t>(at);
  }
}

size_t HashRing::FirstFrom(uint64_t place) const {
  size_t at = starts_[place >> shift_];
  while (at < places_.size() && places_[at] < place) ++at;
  return at < places_.size() ? at : 0;
}

}  // namespace remuda::proxy
