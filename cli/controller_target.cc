#include "cli/controller_target.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>

namespace remuda::cli {
namespace {

// More addresses of one name than these are not dialled.
constexpr size_t kMaxAddressesOfName = 8;

struct Resolved {
  std::string address;  // numeric, without brackets
  std::string port;
  bool is_v6 = false;
};

// HOST:PORT or [HOST]:PORT.
void Resolve(const std::string& text, std::vector<Resolved>& out) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return;
  std::string host = text.substr(0, colon);
  const std::string port = text.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  size_t count = 0;
  for (const addrinfo* one = found; one != nullptr && count < kMaxAddressesOfName;
       one = one->ai_next) {
    char numeric[NI_MAXHOST] = "";
    if (getnameinfo(one->ai_addr, one->ai_addrlen, numeric, sizeof numeric, nullptr, 0,
                    NI_NUMERICHOST) != 0)
      continue;
    out.push_back({numeric, port, one->ai_family == AF_INET6});
    ++count;
  }
}

}  // namespace

std::string TargetOf(const std::vector<std::string>& addresses) {
  if (addresses.size() == 1) return addresses.front();
  std::vector<Resolved> all;
  for (const std::string& address : addresses) Resolve(address, all);
  if (all.empty()) return addresses.front();
  // A target is of one family: among IPv6 addresses the others are written as such.
  const bool is_v6 =
      std::any_of(all.begin(), all.end(), [](const Resolved& one) { return one.is_v6; });
  std::string target;
  for (const Resolved& one : all) {
    target += target.empty() ? (is_v6 ? "ipv6:" : "ipv4:") : ",";
    if (!is_v6) {
      target += one.address + ":" + one.port;
      continue;
    }
    // A zone's % is written as in a URI.
    std::string host = (one.is_v6 ? "" : "::ffff:") + one.address;
    if (const size_t zone = host.find('%'); zone != std::string::npos) host.replace(zone, 1, "%25");
    target += "[" + host + "]:" + one.port;
  }
  return target;
}

}  // namespace remuda::cli
