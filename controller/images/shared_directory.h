// SharedDirectory: whose a directory is that several controllers keep images in (--blobs).
//
// Owns: DIR/cluster, a line with the cluster's id, made by the first controller that finds none.
// Does not own: the blobs in it. Thread: any; blocks for I/O.
#pragma once

#include <absl/status/status.h>

#include <string>

namespace remuda {

// Makes the directory if it is missing, and the mark. FAILED_PRECONDITION (reason OTHER_CLUSTER):
// another cluster's mark stands there. UNAVAILABLE, RESOURCE_EXHAUSTED: it cannot be written.
absl::Status ClaimSharedDirectory(const std::string& directory, const std::string& cluster_id);

}  // namespace remuda
