// Instances, the part that makes an instance's files: fetch the image once for all that want it,
// then a copy for each.
#include <absl/strings/str_cat.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "agent/instances.h"

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

// On a worker thread: the instance's own copy of the image's files. app/ is complete and of the
// image that the file `image` names, or one of the two is not there.
absl::Status MakeFiles(const std::string& image, const std::string& digest, const InstanceDir& dir,
                       const std::optional<UserIds>& user) {
  std::error_code error;
  // Others may pass through, to reach app/, but not list it.
  fs::create_directories(dir.path, error);
  chmod(dir.path.c_str(), 0711);
  // Whatever is believed of the instance: where a shim lives, an app is using these files.
  const auto lock = LockInstance(dir);
  if (!lock.ok()) return lock.status();
  const std::string partial = dir.path + "/app.partial";
  fs::remove(dir.Image(), error);
  fs::remove_all(partial, error);
  fs::remove_all(dir.App(), error);
  absl::Status status = CopyTree(image, partial, user ? static_cast<int64_t>(user->uid) : -1,
                                 user ? static_cast<int64_t>(user->gid) : -1);
  if (!status.ok()) {
    fs::remove_all(partial, error);  // the disk may be full
    return status;
  }
  if (rename(partial.c_str(), dir.App().c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("rename ", dir.App()));
  }
  if (const int failed = WriteFileAtomically(dir.Image(), digest, /*sync=*/false); failed != 0) {
    return absl::ErrnoToStatus(failed, absl::StrCat("write ", dir.Image()));
  }
  return absl::OkStatus();
}

}  // namespace

void Instances::Prepare(const std::string& id) {
  Instance& instance = instances_[id];
  const auto& launch_template = assignment_.Find(id)->launch_template();
  if (const auto user = FindUser(launch_template.user()); !user.ok()) {
    Fail(id, user.status(), /*final=*/true);
    return;
  }
  instance.preparing = true;
  instance.files_of.clear();
  // What was in the way of the last try is in the way of this one only if it fails too.
  instance.message.clear();
  Tell(id);
  // One transfer for all that want the image at once.
  const std::string& digest = launch_template.image_digest();
  std::vector<std::string>& waiting = fetching_[digest];
  waiting.push_back(id);
  if (waiting.size() > 1) return;
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
      Prepared(id, digest, image.status());
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
  const v1::InstanceAssignment* assigned = assignment_.Find(id);
  const auto user = FindUser(assigned == nullptr ? "" : assigned->launch_template().user());
  if (!user.ok()) {
    Prepared(id, digest, absl::UnavailableError(user.status().message()));
    return;
  }
  files_.Post([this, id, digest, image, dir = Dir(id), user = *user] {
    absl::Status status = MakeFiles(image, digest, dir, user);
    loop_.Post([this, id, digest, status = std::move(status)] { Prepared(id, digest, status); });
  });
}

void Instances::Prepared(const std::string& id, const std::string& digest,
                         const absl::Status& status) {
  Instance& instance = instances_[id];
  instance.preparing = false;
  if (!status.ok()) {
    Fail(id, status, absl::IsInvalidArgument(status) || absl::IsNotFound(status));
    return;
  }
  instance.files_of = digest;
  instance.failed = false;
  Evaluate(id);
}

}  // namespace remuda::agent
