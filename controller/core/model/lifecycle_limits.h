// Limits of what a group says of its instances' lives; as in model/limits.h.
#pragma once

#include <absl/time/time.h>

#include <cstddef>

namespace remuda::core::limits {

inline constexpr int kHooksAnAsg = 50;                                   // EC2 Auto Scaling quotas
inline constexpr size_t kHookMetadataBytes = 1023;                       // EC2: PutLifecycleHook
inline constexpr absl::Duration kMinHookTimeout = absl::Seconds(1);      // ours
inline constexpr absl::Duration kMaxHookTimeout = absl::Seconds(7'200);  // EC2: PutLifecycleHook
inline constexpr absl::Duration kMinInstanceLifetime = absl::Seconds(60);
inline constexpr absl::Duration kMaxInstanceLifetime = absl::Seconds(31'536'000);

}  // namespace remuda::core::limits
