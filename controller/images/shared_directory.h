// SharedDirectory: whose a directory is that several controllers keep images in (--blobs).
//
// Owns: DIR/cluster, a line with the cluster's id, made by the first controller that finds none.
// Does not own: the blobs in it. Thread: any; blocks for I/O.
#pragma once

#include <absl/status/status.h>

#include <string>

namespace remuda {

// Makes the directory if it is missing, and the mark. `has_images`: the cluster names some.
// FAILED_PRECONDITION: another cluster's mark stands there (reason OTHER_CLUSTER); there is neither
// a mark nor a folder of images, though there must be, as where storage is not mounted (NO_IMAGES).
// UNAVAILABLE, RESOURCE_EXHAUSTED: it cannot be written.
absl::Status ClaimSharedDirectory(const std::string& directory, const std::string& cluster_id,
                                  bool has_images);

}  // namespace remuda
