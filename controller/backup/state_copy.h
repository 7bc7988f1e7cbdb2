// Copies of the store's file: made while the controller writes to it, and brought to life
// elsewhere. Blocking I/O; any thread.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>

namespace remuda {

// What a copy says of itself.
struct StateFacts {
  std::string cluster_id;
  int64_t epoch = 0;
  int64_t commit = 0;
  int schema = 0;
  std::string sealed_under;  // id of the sealing key
};

// Writes the state of the newest commit to the new file `to`. Commits go on meanwhile: the copy
// reads one snapshot, and they append to the log, which grows as long as that takes. UNAVAILABLE:
// one of the files cannot be read or written.
absl::Status CopyState(const std::string& from, const std::string& to);

// INVALID_ARGUMENT: it is not a store, or damaged.
absl::StatusOr<StateFacts> ReadStateFacts(const std::string& path);

// Makes a copy the state from which a controller goes on where agents and proxies have seen later
// ones: epoch and the numbers of instances, in both of which nothing may come twice, go up to
// `floor`; and by kRestoreStep where they are above it, as after a clock that was fast. `floor` is
// the time in microseconds since 1970: neither controllers nor instances begin at such a rate, so
// that a second restore of the same backup is above all that came of the first.
absl::Status RaiseState(const std::string& path, int64_t floor);
inline constexpr int64_t kRestoreStep = 1'000'000;

}  // namespace remuda
