#include "controller/identity/join_rates.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "controller/identity/join_limits.h"

namespace remuda {
namespace {

constexpr double kFailuresPerSecond = limits::kJoinFailuresPerMinute / 60;

double LeftAt(double left, absl::Time since, absl::Time now, double rate, double most) {
  // A clock that was set back gives nothing.
  const double seconds = std::max(0.0, absl::ToDoubleSeconds(now - since));
  return std::min(most, left + seconds * rate);
}

}  // namespace

std::string NetworkOf(std::string_view address) {
  std::string host(address.substr(0, address.rfind(':')));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  in6_addr v6{};
  if (inet_pton(AF_INET6, host.c_str(), &v6) != 1) return host;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return host;
  constexpr size_t kNetworkBytes = 8;
  std::memset(v6.s6_addr + kNetworkBytes, 0, sizeof v6.s6_addr - kNetworkBytes);
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(AF_INET6, &v6, text.data(), text.size());
  return std::string(text.data()) + "/64";
}

bool JoinRates::Admit(std::string_view address, absl::Time now) {
  if (const auto it = failures_.find(NetworkOf(address)); it != failures_.end()) {
    Bucket& bucket = it->second;
    bucket.left = LeftAt(bucket.left, bucket.since, now, kFailuresPerSecond, limits::kJoinFailures);
    bucket.since = now;
    if (bucket.left >= limits::kJoinFailures) {
      failures_.erase(it);
    } else if (bucket.left < 1) {
      return false;
    }
  }
  all_.left = all_.left < 0 ? limits::kJoinRequests
                            : LeftAt(all_.left, all_.since, now, limits::kJoinRequestsPerSecond,
                                     limits::kJoinRequests);
  all_.since = now;
  if (all_.left < 1) return false;
  --all_.left;
  return true;
}

void JoinRates::NoteFailure(std::string_view address, absl::Time now) {
  const std::string network = NetworkOf(address);
  auto it = failures_.find(network);
  if (it == failures_.end()) {
    if (failures_.size() >= limits::kMaxJoinFailureAddresses) {
      failures_.erase(
          std::max_element(failures_.begin(), failures_.end(), [now](const auto& a, const auto& b) {
            const auto left = [now](const Bucket& bucket) {
              return LeftAt(bucket.left, bucket.since, now, kFailuresPerSecond,
                            limits::kJoinFailures);
            };
            return left(a.second) < left(b.second);
          }));
    }
    it = failures_.emplace(network, Bucket{.left = limits::kJoinFailures, .since = now}).first;
  }
  Bucket& bucket = it->second;
  bucket.left = std::max(
      0.0, LeftAt(bucket.left, bucket.since, now, kFailuresPerSecond, limits::kJoinFailures) - 1);
  bucket.since = now;
}

}  // namespace remuda
