// Backups: an archive of the store and of images' bytes as of one commit, while both are in use.
//
// Owns: the copy of the store that is under way (DIR/backup, removed at the start and at the end of
// each). Does not own: how the archive travels (controller/api), how it comes back (restore.h).
// Thread: Write blocks for as long as the reader takes, so on a thread of its own, one at a time.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "controller/backup/manifest.h"
#include "controller/images/blobs.h"
#include "controller/images/task_thread.h"

namespace remuda {

class Backups {
 public:
  struct Options {
    std::string data_directory;
    // SQLite's file with the state; or, where the state lies in another store, what writes it to
    // such a file, new and sealed under the same key, and answers the files that belong beside it
    // (by names of sealed_files, instead of those).
    std::string state_file;
    std::function<absl::StatusOr<std::map<std::string, std::string>>(const std::string& to)>
        write_state = nullptr;
    std::string sealing_key_file;
    // Below the data directory; of those that are there the bytes are sealed in the archive.
    std::vector<std::string> sealed_files = {};
  };
  // What the archive is handed to; an error ends it.
  struct Sink {
    std::function<absl::Status(const BackupManifest& manifest, int64_t size_bytes)> begin;
    std::function<absl::Status(std::string_view bytes)> write;
  };
  static constexpr size_t kChunkBytes = 256 * 1024;
  // A reader that takes nothing for so long is given up: blobs wait for it to be removed.
  static constexpr absl::Duration kStall = absl::Seconds(60);

  // `blobs` is touched on `blob_thread`; both outlive this.
  Backups(Options options, Blobs& blobs, TaskThread& blob_thread);
  Backups(const Backups&) = delete;
  Backups& operator=(const Backups&) = delete;

  absl::Status Write(bool with_images, const Sink& sink);

 private:
  struct Source;
  using Texts = std::map<std::string, std::string>;  // of files, by name
  // The state to the new file `to`; answers the files beside it.
  absl::StatusOr<Texts> TakeState(const std::string& to) const;
  absl::Status WriteCopy(const std::string& copy, const Texts& files, bool with_images,
                         const Sink& sink);
  absl::Status AddSealed(const Texts& files, BackupManifest& manifest,
                         std::vector<Source>& sources) const;
  absl::StatusOr<std::vector<Blobs::Blob>> ListBlobs();
  // Has no blob removed, or lets it be again. Waits for the blob thread.
  void HoldBlobs(bool held);

  const Options options_;
  Blobs& blobs_;
  TaskThread& blob_thread_;
};

}  // namespace remuda
