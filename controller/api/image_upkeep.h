// ImageUpkeep: has the bytes of images follow the state: what nothing names goes, what is named is
// held by every controller. Thread: the loop thread.
#pragma once

#include "controller/api/blob_worker.h"
#include "controller/api/controller.h"

namespace remuda {

// How often all is looked at though nothing was committed: what was too young to go, what has
// vanished from the disk.
inline constexpr absl::Duration kCollectPeriod = absl::Hours(1);

// Has the blob thread remove the blobs that no image and no launch template version names, and see
// to it that all controllers have the others. Nothing where another controller may lead, which
// names others.
void CollectBlobs(const Controller& controller, BlobWorker worker);

// Does so after each commit, as far as it is needed, and every kCollectPeriod. Takes the
// controller's on_commit; what `worker` names outlives the loop.
void KeepBlobs(Controller& controller, BlobWorker worker);

// Has Replicas look at the time every Replicas::kCheckPeriod, if there are any, and metrics say
// what there are of copies. What `worker` names and the metrics outlive the loop, and what it
// posts.
void CheckReplicas(Controller& controller, BlobWorker worker);

}  // namespace remuda
