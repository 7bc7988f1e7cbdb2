// Which target takes a request: subsets by smooth weight, round robin inside, fail open when none
// is healthy. Runs on a worker; no I/O.
#pragma once

#include <cstddef>
#include <span>

#include "proxy/core/routing_table.h"
#include "proxy/core/target_state.h"

namespace remuda::proxy {

// Targets that a request has tried; the next attempt goes elsewhere.
inline constexpr size_t kMaxAttempts = 3;

// Whether what may be picked changed since this worker's list was made, and making it again.
// PickTarget does it by itself; callers that measure the time do it before.
bool IsPickerStale(GroupState& group, size_t worker);
void RefreshPicker(GroupState& group, size_t worker);

// Picks a target of `state`'s group for one request of worker `worker`, not one of `tried` unless
// `allow_tried` and there is no other. Null if there is none. The caller counts the request in
// flight at once.
//
// Order: active healthy targets of subsets that have a weight. If there is none, fail open: all
// active ones of these subsets; if there is none either, those whose process is said to be gone.
// Never a draining or removed one, never a subset of weight 0.
TargetState* PickTarget(GroupState& state, size_t worker, std::span<TargetState* const> tried,
                        bool allow_tried);

}  // namespace remuda::proxy
