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

bool JoinRates::HasLeft(const std::string& who, absl::Time now) {
  const auto it = spent_.find(who);
  if (it == spent_.end()) return true;
  Bucket& bucket = it->second;
  bucket.left = LeftAt(bucket.left, bucket.since, now, kFailuresPerSecond, limits::kJoinFailures);
  bucket.since = now;
  if (bucket.left < limits::kJoinFailures) return bucket.left >= 1;
  spent_.erase(it);
  return true;
}

bool JoinRates::Admit(std::string_view address, absl::Time now) {
  if (!HasLeft(NetworkOf(address), now)) return false;
  all_.left = all_.left < 0 ? limits::kJoinRequests
                            : LeftAt(all_.left, all_.since, now, limits::kJoinRequestsPerSecond,
                                     limits::kJoinRequests);
  all_.since = now;
  if (all_.left < 1) return false;
  --all_.left;
  return true;
}

void JoinRates::NoteFailure(std::string_view address, absl::Time now) {
  Spend(NetworkOf(address), now);
}

bool JoinRates::AdmitRenewal(const std::string& actor, absl::Time now) {
  if (!HasLeft(actor, now)) return false;
  Spend(actor, now);
  return true;
}

void JoinRates::Spend(const std::string& who, absl::Time now) {
  auto it = spent_.find(who);
  if (it == spent_.end()) {
    if (spent_.size() >= limits::kMaxJoinFailureAddresses) {
      spent_.erase(
          std::max_element(spent_.begin(), spent_.end(), [now](const auto& a, const auto& b) {
            const auto left = [now](const Bucket& bucket) {
              return LeftAt(bucket.left, bucket.since, now, kFailuresPerSecond,
                            limits::kJoinFailures);
            };
            return left(a.second) < left(b.second);
          }));
    }
    it = spent_.emplace(who, Bucket{.left = limits::kJoinFailures, .since = now}).first;
  }
  Bucket& bucket = it->second;
  bucket.left = std::max(
      0.0, LeftAt(bucket.left, bucket.since, now, kFailuresPerSecond, limits::kJoinFailures) - 1);
  bucket.since = now;
}

}  // namespace remuda
