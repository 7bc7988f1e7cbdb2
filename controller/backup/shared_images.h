// SharedImages: images of a backup on their way into a directory that controllers share (--blobs).
//
// Each is in place once it is whole, beside what is there; what came before an error stays, and
// goes later, as nothing names it. Blocking I/O; one thread.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "controller/backup/archive_reader.h"
#include "controller/images/blobs.h"

namespace remuda {

class SharedImages {
 public:
  // FAILED_PRECONDITION: there is no such directory (one that is not mounted is not made), or it is
  // another cluster's (reason OTHER_CLUSTER).
  static absl::StatusOr<std::unique_ptr<SharedImages>> Open(const std::string& directory,
                                                            const std::string& cluster_id);
  SharedImages(const SharedImages&) = delete;
  SharedImages& operator=(const SharedImages&) = delete;
  ~SharedImages();

  // The reader's next entry.
  absl::Status Take(ArchiveReader& reader, const BackupEntry& entry);
  // What was made is the directory's owner's.
  absl::Status Finish();

 private:
  SharedImages(std::string directory, std::string name)
      : directory_(std::move(directory)), name_(std::move(name)) {}

  const std::string directory_;
  const std::string name_;  // of its place for uploads
  std::atomic<int64_t> total_bytes_ = 0;
  std::unique_ptr<Blobs> blobs_;
};

}  // namespace remuda
