// States as SQLite's file, which backups have of any store: written of one in etcd, and put there.
// Blocking I/O; any thread, beside a controller that uses the same store.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <string>

#include "controller/store/store_options.h"

namespace remuda {

// A store in etcd, and the key that it is sealed under.
struct EtcdPlace {
  EtcdAddress address;
  std::string sealing_key_file;
};

// Files of a data directory, by their names below it.
using StateFiles = std::map<std::string, std::string>;

// Writes the state of one revision to the new file `to`, sealed under the same key. Answers the
// files that a data directory would have beside it: the authority's, if that is shared.
// FAILED_PRECONDITION: nobody has led yet.
absl::StatusOr<StateFiles> WriteStateFile(const EtcdPlace& from, const std::string& to);

// The other way round; `file` may be opened for writing, nobody else has it open. Errors as
// Migrate's.
absl::Status PutStateFile(const std::string& file, const StateFiles& files, const EtcdPlace& to);

}  // namespace remuda
