// BlobWorker: the bytes of images and what works on them, as the API's calls get it.
#pragma once

#include "common/image_signature.h"
#include "controller/images/blobs.h"
#include "controller/images/replicas.h"
#include "controller/images/task_thread.h"

namespace remuda {

// The blobs, the one thread that touches them, and the one that looks into uploads, which takes as
// long as unpacking does.
struct BlobWorker {
  Blobs& blobs;
  TaskThread& thread;
  TaskThread& checker;
  const ImageKeys& keys;         // not empty: images must be signed by one of them
  Replicas* replicas = nullptr;  // null: no other controller has images
};

}  // namespace remuda
