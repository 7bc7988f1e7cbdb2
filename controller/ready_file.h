// The ready file: says that the program serves, and where. Thread: any.
#pragma once

#include <absl/status/status.h>

#include <string>

namespace remuda {

// Writes {"grpc": ADDRESS, "http": ADDRESS, "join": ADDRESS} to `path`, whole or not at all; the
// last only if there is one. Does nothing if `path` is empty.
absl::Status WriteReadyFile(const std::string& path, const std::string& grpc,
                            const std::string& http, const std::string& join);

}  // namespace remuda
