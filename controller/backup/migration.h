// Migrate: all that one store holds goes to another one that is empty, with no controller running
// on either.
//
// Owns: who leads meanwhile, the authority that one controller has in files and several have in the
// store. Does not own: how a store is read and filled (store_content.h), images (they are of the
// data directory). Blocking I/O; any thread.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "controller/store/store_content.h"
#include "controller/store/store_options.h"

namespace remuda {

struct MigrationSide {
  StoreOptions store;
  std::string sealing_key_file;
  // Of a store in SQLite: where identity/ca.pem and identity/ca.key are.
  std::string data_directory;
  std::string name;  // in words: sqlite:PATH, etcd://...
};

struct Migrated {
  StoreHead head;
  RowTally::Result rows;
  bool has_authority = false;
  std::vector<std::string> left;  // what is shared in the source and has no place in the target
};

// The source stays as it is, but for its epoch. FAILED_PRECONDITION: a controller leads or stands
// by on one of them (STORE_IN_USE), the source is empty (EMPTY), the target is not (NOT_EMPTY) or
// was left half filled (HALF_FILLED), a sealing key is missing (SEALING_KEY), another authority is
// in the target's files (AUTHORITY). DATA_LOSS: what was read back is not what was put. On error
// the target is empty again, if that could be done. Run by root it gives what it makes in a data
// directory to the directory's owner.
absl::StatusOr<Migrated> Migrate(const MigrationSide& from, const MigrationSide& to);

}  // namespace remuda
