#include "proxy/io/address_limit.h"

#include <algorithm>
#include <utility>

namespace remuda::proxy {
namespace {

constexpr AddressLimit::Address kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr ptrdiff_t kMappedPrefixBytes = 12;
constexpr ptrdiff_t kNetworkBytes = 8;

}  // namespace

bool AddressLimit::Take(Address address, Place& place) {
  if (most_ == 0) return true;
  const bool is_ipv4 =
      std::equal(address.begin(), address.begin() + kMappedPrefixBytes, kMappedPrefix.begin());
  if (!is_ipv4) std::fill(address.begin() + kNetworkBytes, address.end(), uint8_t{0});
  const auto at = counts_.try_emplace(address).first;
  at->second.limit = this;
  at->second.address = &at->first;
  return Take(at->second, place);
}

bool AddressLimit::Take(Count& count, Place& place) {
  if (count.places >= count.limit->most_) return false;
  ++count.places;
  Place taken;
  taken.count_ = &count;
  place = std::move(taken);
  return true;
}

bool AddressLimit::Place::TakeAnother(Place& another) const {
  return count_ == nullptr || Take(*count_, another);
}

void AddressLimit::Place::End() {
  Count* const count = std::exchange(count_, nullptr);
  if (count == nullptr || --count->places > 0) return;
  count->limit->counts_.erase(count->limit->counts_.find(*count->address));
}

}  // namespace remuda::proxy
