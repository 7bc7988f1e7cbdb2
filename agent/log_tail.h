// The last lines of an instance's log, as its report tells them. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace remuda::agent {

inline constexpr uint64_t kLogTailLines = 10;
inline constexpr size_t kLogTailBytes = 1024;

// At most kLogTailLines whole lines and kLogTailBytes, each ended by a newline; what is no UTF-8,
// and control characters, as \xNN. Where the last lines are more, of indented ones in a row (a
// stack's frames) only the first is told, and "..." for the rest: the error above them is what
// matters. Of a last line that alone is longer, its end. Empty: there is none.
// Of what stands before the last line `after`, if there is one, nothing is told.
std::string LogTail(const std::string& log_directory, std::string_view after = {});

}  // namespace remuda::agent
