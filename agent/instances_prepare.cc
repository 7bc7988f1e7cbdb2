// Instances, the part that makes an instance's files: fetch the image once for all that want it,
// then a copy for each, put in the place of the one before when nothing runs from that.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <utility>

#include "agent/instances.h"

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

// Whatever the disk says now, it may take the files later.
absl::Status MayWorkLater(const absl::Status& status) {
  return status.ok() ? status : absl::UnavailableError(status.message());
}

}  // namespace

std::string Instances::FilesWanted(const v1::InstanceAssignment& assigned) const {
  const auto& launch_template = assigned.launch_template();
  return FilesKey(launch_template.image_digest(),
                  users_.KeyOf(assigned.instance(), launch_template.user()));
}

void Instances::Prepare(const std::string& id) {
  Instance& instance = instances_[id];
  const auto& launch_template = assignment_.Find(id)->launch_template();
  // Nothing is fetched that could not run here.
  if (absl::Status status = CheckHost(*assignment_.Find(id)); !status.ok()) {
    Fail(id, status, /*final=*/true);
    return;
  }
  if (const auto user = users_.Ensure(id, Dir(id), launch_template.user()); !user.ok()) {
    Fail(id, user.status(), absl::IsFailedPrecondition(user.status()));
    return;
  }
  instance.preparing = instance.fetching = true;
  // What was in the way of the last try is in the way of this one only if it fails too.
  instance.message.clear();
  Tell(id);
  // One transfer for all that want the image at once.
  const std::string& digest = launch_template.image_digest();
  const bool is_on_its_way = fetching_.count(digest) > 0;
  fetching_[digest].push_back(id);
  if (is_on_its_way) return;
  transfers_.Post([this, digest] {
    absl::StatusOr<std::string> image = images_.Ensure(digest);
    const uint64_t came_bytes = images_.BytesOfPart(digest);
    loop_.Post([this, digest, image = std::move(image), came_bytes] {
      Fetched(digest, image, came_bytes);
    });
  });
}

void Instances::Fetched(const std::string& digest, const absl::StatusOr<std::string>& image,
                        uint64_t came_bytes) {
  const auto waiting = std::move(fetching_[digest]);
  fetching_.erase(digest);
  for (const std::string& id : waiting) {
    if (image.ok()) {
      CopyFiles(id, digest, *image);
    } else {
      NoteProgress(instances_[id], came_bytes);
      const v1::InstanceAssignment* assigned = assignment_.Find(id);
      const std::string user = assigned == nullptr ? "" : assigned->launch_template().user();
      Prepared(id, FilesKey(digest, users_.KeyOf(id, user)), image.status());
    }
  }
  if (image.ok()) files_.Post([this] { images_.MakeDurable(); });
}

void Instances::NoteProgress(Instance& instance, uint64_t came_bytes) {
  if (came_bytes > instance.came_bytes) {
    // The transfer broke off, but further on than the one before: no failure of a row of failures.
    instance.failed = false;
    instance.setbacks = 0;
  }
  instance.came_bytes = came_bytes;
}

void Instances::CopyFiles(const std::string& id, const std::string& digest,
                          const std::string& image) {
  instances_[id].fetching = false;
  const v1::InstanceAssignment* assigned = assignment_.Find(id);
  const std::string name = assigned == nullptr ? "" : assigned->launch_template().user();
  const auto user = users_.Ensure(id, Dir(id), name);
  const std::string files_key = FilesKey(digest, users_.KeyOf(id, name));
  if (!user.ok()) {
    Prepared(id, files_key, MayWorkLater(user.status()));
    return;
  }
  // Files that nothing runs from are replaced at once.
  const InstanceRun* run = supervisor_.Find(id);
  const bool installs =
      run == nullptr || run->state == RunState::kNone || run->state == RunState::kEnded;
  files_.Post([this, id, files_key, image, dir = Dir(id), user = *user, installs,
               broken_off = supervisor_.DoomedPath(id), doomed = supervisor_.DoomedPath(id)] {
    absl::Status status;
    if (IsHalfInstalled(dir)) status = InstallFiles(dir, PlaceOfImages(), broken_off);
    if (status.ok()) status = PrepareFiles(image, files_key, dir, user);
    if (status.ok() && installs) status = InstallFiles(dir, PlaceOfImages(), doomed);
    loop_.Post(
        [this, id, files_key, status = MayWorkLater(status)] { Prepared(id, files_key, status); });
    std::error_code error;
    fs::remove_all(broken_off, error);
    fs::remove_all(doomed, error);
  });
}

void Instances::Install(const std::string& id) {
  Instance& instance = instances_[id];
  instance.preparing = true;
  Tell(id);
  files_.Post(
      [this, id, files_key = instance.next_of, dir = Dir(id), doomed = supervisor_.DoomedPath(id)] {
        absl::Status status = InstallFiles(dir, PlaceOfImages(), doomed);
        loop_.Post([this, id, files_key, status = MayWorkLater(status)] {
          Prepared(id, files_key, status);
        });
        std::error_code error;
        fs::remove_all(doomed, error);
      });
}

void Instances::Prepared(const std::string& id, const std::string& files_key,
                         const absl::Status& status) {
  Instance& instance = instances_[id];
  instance.preparing = instance.fetching = false;
  instance.files_of = FilesIn(Dir(id));
  instance.next_of = NextFilesIn(Dir(id));
  const v1::InstanceAssignment* assigned = assignment_.Find(id);
  const bool is_wanted = assigned != nullptr && FilesWanted(*assigned) == files_key;
  if (!status.ok() && is_wanted) {
    Fail(id, status, absl::IsInvalidArgument(status) || absl::IsNotFound(status));
    return;
  }
  if (status.ok()) instance.failed = false;
  CheckPrepared(id);
  Evaluate(id);
}

// Files that were made ready for a generation which another one has overtaken.
void Instances::DropNext(const std::string& id) {
  Instance& instance = instances_[id];
  if (std::exchange(instance.next_of, {}).empty()) return;
  unlink(Dir(id).NextImage().c_str());
  const std::string doomed = supervisor_.DoomedPath(id);
  if (rename(Dir(id).Next().c_str(), doomed.c_str()) != 0) return;
  files_.Post([doomed] {
    std::error_code error;
    fs::remove_all(doomed, error);
  });
}

ImagePlace Instances::PlaceOfImages() {
  return [this](const std::string& digest) { return images_.Find(digest); };
}

}  // namespace remuda::agent
