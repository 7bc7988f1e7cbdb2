#include "controller/backup/shared_images.h"

#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "common/status.h"
#include "controller/backup/give_to_owner.h"
#include "controller/images/shared_directory.h"

namespace remuda {

namespace fs = std::filesystem;

absl::StatusOr<std::unique_ptr<SharedImages>> SharedImages::Open(const std::string& directory,
                                                                 const std::string& cluster_id) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    return FailedPrecondition(
        "BLOBS", absl::StrCat("--blobs: ", directory,
                              ": there is no such directory: mount it, or make it for the "
                              "controllers' user"));
  }
  if (absl::Status status = ClaimSharedDirectory(directory, cluster_id, false); !status.ok())
    return status;
  std::unique_ptr<SharedImages> images(
      new SharedImages(directory, absl::StrCat("restore-", getpid())));
  auto blobs = Blobs::Open({.directory = directory,
                            .max_blob_bytes = BackupManifest::kMaxEntryBytes,
                            .shared_as = images->name_},
                           images->total_bytes_);
  if (!blobs.ok()) return blobs.status();
  images->blobs_ = *std::move(blobs);
  return images;
}

SharedImages::~SharedImages() {
  std::error_code error;
  fs::remove_all(absl::StrCat(directory_, "/tmp/", name_), error);
}

absl::Status SharedImages::Take(ArchiveReader& reader, const BackupEntry& entry) {
  const std::string digest = absl::StrCat("sha256:", entry.sha256);
  // Also where it is there: it is made young, so that no controller takes it for one that nothing
  // will name, and whole, if the disk has lost some.
  auto upload = blobs_->Begin();
  if (!upload.ok()) return upload.status();
  absl::Status status = reader.ReadEntry(
      entry, [&upload](std::string_view bytes) { return (*upload)->Append(bytes); });
  if (status.ok()) status = Blobs::Seal(**upload, digest, entry.size_bytes);
  return status.ok() ? blobs_->Finish(**upload).status() : status;
}

absl::Status SharedImages::Finish() {
  for (const char* name : {"cluster", "sha256", "tmp"}) {
    const absl::Status status = GiveToOwner(directory_, absl::StrCat(directory_, "/", name));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace remuda
