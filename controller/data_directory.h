// The controller's data directory: for nobody else, and for one controller. Blocking I/O; at the
// program's start.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <optional>
#include <string>

#include "controller/store/state_lock.h"
#include "controller/store/store_options.h"

namespace remuda {

// Makes it if it is missing, and closes it to others.
absl::Status MakeDataDirectory(const std::string& path);

// To be held as long as it is used. Not set: the store has it itself, of its file in SQLite.
// FAILED_PRECONDITION with reason STORE_IN_USE: another controller, or a restore, uses it.
absl::StatusOr<std::optional<StateLock>> LockDataDirectory(const std::string& path,
                                                           StoreOptions::Kind store);

}  // namespace remuda
