// Reading a token to join with from where others do not see it. Blocks; any thread.
#pragma once

#include <absl/status/statusor.h>

#include <string>

namespace remuda::identity {

inline constexpr size_t kMaxTokenFileBytes = 1024;

// The first line of the file, or of standard input ("-"); at a terminal it is asked for, and not
// shown. INVALID_ARGUMENT: there is none, or it is no token.
absl::StatusOr<std::string> ReadTokenFile(const std::string& path);

}  // namespace remuda::identity
