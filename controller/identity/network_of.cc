#include "controller/identity/network_of.h"

#include <arpa/inet.h>

#include <array>
#include <cstring>

namespace remuda {

std::string NetworkOf(std::string_view address) {
  std::string host(address.substr(0, address.rfind(':')));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  host = host.substr(0, host.find('%'));  // a link-local one names its interface
  in6_addr v6{};
  if (inet_pton(AF_INET6, host.c_str(), &v6) != 1) return host;
  constexpr size_t kNetworkBytes = 8, kV4At = 12;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    inet_ntop(AF_INET, v6.s6_addr + kV4At, text.data(), text.size());
    return text.data();
  }
  std::memset(v6.s6_addr + kNetworkBytes, 0, sizeof v6.s6_addr - kNetworkBytes);
  inet_ntop(AF_INET6, &v6, text.data(), text.size());
  return std::string(text.data()) + "/64";
}

}  // namespace remuda
