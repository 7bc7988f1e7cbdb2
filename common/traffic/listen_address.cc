#include "common/traffic/listen_address.h"

#include <arpa/inet.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace remuda::traffic {
namespace {

using Bytes = std::array<uint8_t, 16>;  // IPv4 as ::ffff:a.b.c.d

// All zeros for all addresses, and for what is none.
Bytes BytesOf(const std::string& text) {
  Bytes bytes{};
  in_addr v4;
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    bytes[10] = bytes[11] = 0xff;
    std::memcpy(&bytes[12], &v4, sizeof v4);
  } else if (inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) {
    return {};
  }
  static constexpr Bytes kAllOfIpv4 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return bytes == kAllOfIpv4 ? Bytes{} : bytes;
}

}  // namespace

bool AddressesCollide(const std::string& a, const std::string& b) {
  const Bytes first = BytesOf(a);
  const Bytes second = BytesOf(b);
  return first == second || first == Bytes{} || second == Bytes{};
}

}  // namespace remuda::traffic
