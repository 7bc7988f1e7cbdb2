#include "controller/identity/join_rates.h"

#include <algorithm>

#include "controller/identity/join_limits.h"
#include "controller/identity/network_of.h"

namespace remuda {
namespace {

constexpr double kFailuresPerSecond = limits::kJoinFailuresPerMinute / 60;

double LeftAt(double left, absl::Time since, absl::Time now, double rate, double most) {
  // A clock that was set back gives nothing.
  const double seconds = std::max(0.0, absl::ToDoubleSeconds(now - since));
  return std::min(most, left + seconds * rate);
}

}  // namespace

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
