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

 private:
  // What one address has. Lives while any place of it does.
  struct Count {
    AddressLimit* limit = nullptr;
    const Address* address = nullptr;
    size_t places = 0;
  };

 public:
  // What one of them takes up until it ends.
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(count_, other.count_);
      return *this;
    }
    ~Place() { End(); }
    // One more of the same address. False if that has all it may have; who has none needs none.
    bool TakeAnother(Place& another) const;
    void End();

   private:
    friend class AddressLimit;
    Count* count_ = nullptr;
  };

  // False if that address has all it may have.
  bool Take(Address address, Place& place);

 private:
  static bool Take(Count& count, Place& place);

  const size_t most_;
  std::map<Address, Count> counts_;
};

}  // namespace remuda::proxy
