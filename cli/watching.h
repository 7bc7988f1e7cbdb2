// What every watch has in common: how often it looks, and what it says of a controller that is
// away.
#pragma once

#include <absl/status/status.h>

#include <chrono>

#include "cli/context.h"

namespace remuda::cli {

inline constexpr std::chrono::milliseconds kWatchInterval{500};
// Of a stream that the user ends.
inline constexpr std::chrono::hours kWatchDeadline{24 * 365};

// Whether waiting may mend it: the controller is not there, or ended what was being read.
bool IsAway(const absl::Status& status);

// Says on standard error that the controller is away and is tried again; once, until `was_there` is
// set again.
void SayAway(Context& context, bool& was_there);

}  // namespace remuda::cli
