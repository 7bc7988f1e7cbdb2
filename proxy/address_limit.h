// How many connections and streams each address of a client has with one worker, and that none has
// more than it may. An IPv6 client has 64 bits of address to itself: they count as one address.
//
// Thread: its worker's. Allocates only where there is a limit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

namespace remuda::proxy {

class AddressLimit {
 public:
  using Address = std::array<uint8_t, 16>;  // IPv4 as ::ffff:a.b.c.d

  // `most` of one address; 0: any number. Outlives its places.
  explicit AddressLimit(size_t most) : most_(most) {}
  AddressLimit(const AddressLimit&) = delete;
  AddressLimit& operator=(const AddressLimit&) = delete;

  // What one of them takes up until it ends.
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept : limit_(std::exchange(other.limit_, nullptr)), at_(other.at_) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(limit_, other.limit_);
      std::swap(at_, other.at_);
      return *this;
    }
    ~Place() { End(); }
    // One more of the same address. False if that has all it may have; who has none needs none.
    bool TakeAnother(Place& another) const;
    void End() {
      if (limit_ != nullptr && --at_->second == 0) limit_->counts_.erase(at_);
      limit_ = nullptr;
    }

   private:
    friend class AddressLimit;
    AddressLimit* limit_ = nullptr;
    std::map<Address, size_t>::iterator at_;
  };

  // False if that address has all it may have.
  bool Take(Address address, Place& place);

 private:
  const size_t most_;
  std::map<Address, size_t> counts_;
};

}  // namespace remuda::proxy
