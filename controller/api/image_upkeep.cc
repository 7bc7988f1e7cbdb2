#include "controller/api/image_upkeep.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace remuda {
namespace {

// Digest to size. What an image is made for is there before its template versions are; a version
// that outlived its image says no size.
std::map<std::string, int64_t> NeededBy(const core::State& state) {
  std::map<std::string, int64_t> needed;
  for (const auto& [key, version] : state.All<v1::LaunchTemplateVersion>())
    needed.emplace(version->image_digest(), 0);
  for (const auto& [id, image] : state.All<v1::Image>())
    needed[image->digest()] = image->size_bytes();
  needed.erase("");
  return needed;
}

void CollectNowAndThen(const Controller& controller, BlobWorker worker) {
  controller.loop.At(controller.engine.Now() + kCollectPeriod, [&controller, worker] {
    CollectBlobs(controller, worker);
    CollectNowAndThen(controller, worker);
  });
}

}  // namespace

void CollectBlobs(const Controller& controller, BlobWorker worker) {
  // In this order: see Blobs::Collect.
  const auto now = Blobs::FileClock::now();
  if (!controller.CheckLeads().ok()) return;
  worker.thread.Post([worker, now, needed = NeededBy(controller.engine.state())]() mutable {
    std::set<std::string> referenced;
    for (const auto& [digest, size_bytes] : needed) referenced.insert(digest);
    worker.blobs.Collect(referenced, {}, now);
    if (worker.replicas != nullptr) worker.replicas->SetNeeded(std::move(needed));
  });
}

void KeepBlobs(Controller& controller, BlobWorker worker) {
  controller.set_on_commit([&controller, worker](const core::Changes& changes) {
    for (const core::Edit& edit : changes.edits) {
      const bool names_bytes =
          edit.kind == core::Kind::kImage || edit.kind == core::Kind::kLaunchTemplateVersion;
      if (names_bytes && edit.value == nullptr) return CollectBlobs(controller, worker);
    }
    if (worker.replicas == nullptr) return;
    for (const core::Edit& edit : changes.edits) {
      if (edit.kind != core::Kind::kImage) continue;
      const auto* image = controller.engine.state().Find<v1::Image>(edit.key);
      if (image == nullptr) continue;
      worker.thread.Post(
          [worker, digest = (*image)->digest(), size_bytes = (*image)->size_bytes()] {
            worker.replicas->Need(digest, size_bytes);
          });
    }
  });
  controller.loop.Post([&controller, worker] { CollectNowAndThen(controller, worker); });
}

void CheckReplicas(Controller& controller, BlobWorker worker) {
  if (worker.replicas == nullptr) return;
  controller.loop.At(controller.engine.Now() + Replicas::kCheckPeriod, [&controller, worker] {
    worker.thread.Post([worker, &metrics = controller.metrics, now = controller.engine.Now()] {
      worker.replicas->Check(now);
      const Replicas::Counts counts = worker.replicas->Count();
      metrics.image_standbys = counts.standbys;
      metrics.images_missing = counts.missing;
      metrics.images_few_copies = counts.few_copies;
      metrics.image_copies_behind = counts.copies_behind;
    });
    CheckReplicas(controller, worker);
  });
}

}  // namespace remuda
