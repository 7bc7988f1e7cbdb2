// Restore: a backup's archive becomes a data directory, with no controller running there.
//
// Blocking I/O, for minutes where there are images; any thread.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "controller/backup/manifest.h"

namespace remuda {

struct RestoreOptions {
  std::string from;  // a file; `-`: the standard input
  std::string data_directory;
  std::string sealing_key_file;  // that holds the key which the backup is sealed under
  // Takes the place of what is there, which is kept beside it.
  bool force = false;
  // Where controllers share images (--blobs); empty: images go into the data directory.
  std::string blobs_directory = {};
  // Not set: the state goes into the data directory. Else: puts it into another store, of SQLite's
  // file and the sealed files by their names; the data directory gets the rest.
  std::function<absl::Status(const std::string& state_file,
                             const std::map<std::string, std::string>& files)>
      put_state = nullptr;
};

struct Restored {
  BackupManifest manifest;
  int64_t epoch = 0;     // the next start's is above
  std::string replaced;  // where what was there is now; empty: there was nothing
};

// Puts everything beside its place first, and in place when all of it is right; the last step is
// one rename, of state.db. An error leaves the directory as it was; images that came into a shared
// directory stay there. Run by root it gives all of it, and the sealing key in the directory, to
// the directory's owner. INVALID_ARGUMENT: the archive
// is none, is cut, or differs from its manifest (the entry is named). FAILED_PRECONDITION: the data
// directory holds something, a controller runs in it, the schema is a newer one's, the sealing key
// is not in its file, or the shared directory is not there or another cluster's.
absl::StatusOr<Restored> Restore(const RestoreOptions& options);

// FAILED_PRECONDITION: a restore was cut off (a kill, a loss of power) when the state was in
// neither place, so that a start would begin an empty cluster where there was one. For the start of
// a controller, before it opens the store.
absl::Status CheckNotHalfRestored(const std::string& data_directory);

}  // namespace remuda
