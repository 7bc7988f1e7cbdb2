// Bounds of the join endpoint, which strangers reach.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>

namespace remuda::limits {

inline constexpr size_t kMaxJoinBodyBytes = size_t{32} * 1024;
inline constexpr uint32_t kMaxJoinHeadBytes = 8 * 1024;
// From the accept to the answer's last byte.
inline constexpr absl::Duration kJoinConnectionTimeout = absl::Seconds(10);
// At once, of all and of one address (of IPv6: one /64 network). The oldest that waits for its
// client gives way to one more.
inline constexpr size_t kMaxJoinConnections = 64;
inline constexpr size_t kMaxJoinConnectionsPerAddress = 16;
inline constexpr int kJoinBacklog = 256;
// Out of descriptors, accepting is tried again after.
inline constexpr absl::Duration kJoinAcceptPause = absl::Milliseconds(100);

// Requests that were refused, from one address (of IPv6: one /64 network), and renewals of one
// identity: so many at once, and then so many a minute.
inline constexpr double kJoinFailures = 10;
inline constexpr double kJoinFailuresPerMinute = 10;
// Addresses and identities that this is remembered of; the one that is nearest to being forgiven is
// forgotten for another.
inline constexpr size_t kMaxJoinFailureAddresses = 4096;
// Requests of all: so many at once, and then so many a second.
inline constexpr double kJoinRequests = 200;
inline constexpr double kJoinRequestsPerSecond = 50;

// A certificate that ended longer ago is not renewed: who had it joins anew.
inline constexpr absl::Duration kMaxExpiredFor = absl::Hours(24 * 30);

}  // namespace remuda::limits
