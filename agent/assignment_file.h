// The last assignment on this host's disk: whole, with a checksum, replaced by rename and synced.
//
// Save and Write on the loop's thread and on workers; Load before any of them.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "remuda/agent/v1/agent.pb.h"

namespace remuda::agent {

class AssignmentFile {
 public:
  explicit AssignmentFile(std::string path) : path_(std::move(path)) {}

  // What was written last; nullopt if nothing was. DataLoss: it is there and cannot be used; says
  // why.
  absl::StatusOr<std::optional<v1::AssignmentUpdate>> Load() const;

  // Remembers `whole` as the newest to be written by the next Write.
  void Save(const v1::AssignmentUpdate& whole);
  // Writes the newest, if it is not written yet. Blocks on the disk.
  absl::Status Write();

 private:
  const std::string path_;
  std::mutex write_mutex_;             // held while writing, so that an older one never comes last
  std::mutex mutex_;                   // never held during I/O
  std::optional<std::string> newest_;  // guarded by mutex_; unset: nothing to write
};

}  // namespace remuda::agent
