#include "proxy/address_limit.h"

#include <algorithm>

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
  const auto at = counts_.try_emplace(address, 0).first;
  if (at->second >= most_) return false;
  ++at->second;
  Place taken;
  taken.limit_ = this;
  taken.at_ = at;
  place = std::move(taken);
  return true;
}

bool AddressLimit::Place::TakeAnother(Place& another) const {
  if (limit_ == nullptr) return true;
  if (at_->second >= limit_->most_) return false;
  ++at_->second;
  Place taken;
  taken.limit_ = limit_;
  taken.at_ = at_;
  another = std::move(taken);
  return true;
}

}  // namespace remuda::proxy
