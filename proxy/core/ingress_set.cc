#include "proxy/core/ingress_set.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace remuda::proxy {
namespace {

// The range that holds the number, of sorted ranges that do not overlap.
template <typename Range, typename Number>
bool Holds(const std::vector<Range>& ranges, const Number& number) {
  const auto behind = std::upper_bound(
      ranges.begin(), ranges.end(), number,
      [](const Number& wanted, const Range& range) { return wanted < range.first; });
  return behind != ranges.begin() && number <= std::prev(behind)->last;
}

}  // namespace

uint32_t IngressSet::V4Of(const traffic::IpBytes& address) {
  uint32_t out = 0;
  for (size_t i = traffic::kMappedBits / 8; i < address.size(); ++i) out = out << 8 | address[i];
  return out;
}

IngressSet::V6Number IngressSet::V6Of(const traffic::IpBytes& address) {
  V6Number out{};
  for (size_t i = 0; i < address.size(); ++i) out[i / 8] = out[i / 8] << 8 | address[i];
  return out;
}

IngressSet::IngressSet(std::vector<traffic::Cidr> blocks) {
  // Sorted by address, so that each family's ranges are as well.
  for (const traffic::Cidr& block : traffic::Merged(std::move(blocks))) {
    const traffic::IpBytes last = traffic::LastOf(block);
    if (block.is_v4()) {
      const V4Range range{V4Of(block.address), V4Of(last)};
      const bool touches = !v4_.empty() &&
                           v4_.back().last != std::numeric_limits<uint32_t>::max() &&
                           v4_.back().last + 1 == range.first;
      if (touches) {
        v4_.back().last = range.last;
      } else {
        v4_.push_back(range);
      }
    } else {
      v6_.push_back({V6Of(block.address), V6Of(last)});
    }
  }
}

bool IngressSet::Contains(const traffic::IpBytes& address) const {
  return traffic::Cidr::IsMapped(address) ? Holds(v4_, V4Of(address)) : Holds(v6_, V6Of(address));
}

}  // namespace remuda::proxy
