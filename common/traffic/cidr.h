// Blocks of IP addresses. Thread: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace remuda::traffic {

// 16 bytes; IPv4 as ::ffff:a.b.c.d.
using IpBytes = std::array<uint8_t, 16>;

// The bits of IpBytes before an IPv4 address. A block with fewer is one of IPv6 alone: it holds no
// IPv4 address, as ::/0 does not.
inline constexpr int kMappedBits = 96;

struct Cidr {
  IpBytes address{};
  int prefix_bits = 0;  // of the 128
  bool is_v4() const { return prefix_bits >= kMappedBits && IsMapped(address); }
  static bool IsMapped(const IpBytes& address);
  auto operator<=>(const Cidr&) const = default;
};

// An address or `ADDRESS/BITS` whose bits behind the prefix are 0. Empty if it is one, else the
// rule that it breaks: "is not ...".
std::string ParseBlock(const std::string& text, Cidr& out);

// The one spelling: `10.0.0.0/8`, `10.0.0.1`, `2001:db8::/32`.
std::string CidrText(const Cidr& cidr);

// The same addresses in the fewest blocks, sorted: none lies in another.
std::vector<Cidr> Merged(std::vector<Cidr> blocks);

// The last address of a block; the first is its `address`.
IpBytes LastOf(const Cidr& cidr);

}  // namespace remuda::traffic
