// A directory that nobody but its owner can look into: where keys and secrets are kept.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>

namespace remuda {

// Makes `path` (and what is missing above it) with mode 0700. A directory that is there already is
// closed to others if it is empty or holds `marker`, a file of ours; FAILED_PRECONDITION if it is
// somebody else's (root may use it), or holds other things alone and is open: it may be shared, and
// is not ours to close. `setting` names it in errors ("--data-dir"). Answers whether it was open
// before.
absl::StatusOr<bool> MakePrivateDirectory(const std::string& path, std::string_view marker,
                                          std::string_view setting);

// Takes the rights of others from a file that may be there. Answers whether they had any; an error
// if they cannot be taken.
absl::StatusOr<bool> MakePrivateFile(const std::string& path);

}  // namespace remuda
