// IngressSet: who may connect to a listener, compiled for a look-up at each accept: sorted ranges
// that do not touch, of IPv4 and of IPv6 apart. A look-up takes O(log n) steps and no memory.
// Immutable. Any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/traffic/cidr.h"

namespace remuda::proxy {

class IngressSet {
 public:
  IngressSet() = default;  // nobody
  explicit IngressSet(std::vector<traffic::Cidr> blocks);

  bool Contains(const traffic::IpBytes& address) const;
  // Of both families.
  size_t range_count() const { return v4_.size() + v6_.size(); }

 private:
  // Both ends belong to it. Numbers in the machine's own order.
  struct V4Range {
    uint32_t first;
    uint32_t last;
  };
  using V6Number = std::array<uint64_t, 2>;  // the upper half first
  struct V6Range {
    V6Number first;
    V6Number last;
  };

  static uint32_t V4Of(const traffic::IpBytes& address);
  static V6Number V6Of(const traffic::IpBytes& address);

  std::vector<V4Range> v4_;
  std::vector<V6Range> v6_;
};

}  // namespace remuda::proxy
