// How requests wait for a first target: the bounds of TargetGroup.request_hold, and what it is
// where fields are left out. Pure functions.
#pragma once

#include <absl/time/time.h>

#include <cstdint>

#include "controller/core/model/time.h"
#include "remuda/v1/target_group.pb.h"

namespace remuda::core {

inline constexpr int kMaxHeldRequests = 10'000;
inline constexpr int64_t kMaxHeldBytes = int64_t{1024} * 1024 * 1024;
inline constexpr absl::Duration kMinHoldTimeout = absl::Seconds(1);
inline constexpr absl::Duration kMaxHoldTimeout = absl::Seconds(600);

inline void FillRequestHold(v1::RequestHold& hold) {
  if (hold.max_requests() == 0) hold.set_max_requests(100);
  if (!hold.has_max_bytes()) hold.set_max_bytes(int64_t{16} * 1024 * 1024);
  if (!hold.has_timeout()) *hold.mutable_timeout() = ToProto(absl::Seconds(30));
}

}  // namespace remuda::core
