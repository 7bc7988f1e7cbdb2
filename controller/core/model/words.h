// Words: numbers, times and durations as they stand in what a person reads: activities, what is
// waited for, errors. Thread: pure functions.
#pragma once

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/words.h"

namespace remuda::core {

// "a, b", or "a, b and 3 more" where there are more than `most`.
inline std::string Listed(std::vector<std::string> names, size_t most) {
  const size_t more = names.size() > most ? names.size() - most : 0;
  names.resize(names.size() - more);
  return absl::StrCat(absl::StrJoin(names, ", "),
                      more == 0 ? "" : absl::StrCat(" and ", more, " more"));
}

// The verb for a number of things: "is" or "are".
inline const char* IsOrAre(int64_t count) { return count == 1 ? "is" : "are"; }

// "2026-11-29 20:55:12 UTC": whole seconds, rounded up, so that nothing is awaited until a moment
// that has passed.
inline std::string MomentText(absl::Time time) {
  const absl::Time up = absl::UnixEpoch() + absl::Ceil(time - absl::UnixEpoch(), absl::Seconds(1));
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", up, absl::UTCTimeZone());
}

// "1m30s", "1.5s", "250ms": whole milliseconds from one on.
inline std::string DurationText(absl::Duration duration) {
  const absl::Duration whole = absl::Trunc(duration, absl::Milliseconds(1));
  return absl::FormatDuration(whole == absl::ZeroDuration() ? duration : whole);
}

}  // namespace remuda::core
