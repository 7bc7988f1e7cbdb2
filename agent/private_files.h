// Files of the agent's data directory that hold secrets: closed to others at the start, whatever
// opened them (a copy, a backup's tool, an earlier version). Blocking I/O; before the loop runs.
#pragma once

#include <absl/status/status.h>

#include <string>

namespace remuda::agent {

// The assignment, and of each instance what it was started with and its token. Says which were
// open; FAILED_PRECONDITION if one cannot be closed.
absl::Status ClosePrivateFiles(const std::string& data_directory);

}  // namespace remuda::agent
