// Where the controller keeps the cluster's authority: ca.pem (as Authority::Load takes it) and
// ca.key, both 0600.
//
// Thread: pure functions over files.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>

#include "common/identity/authority.h"

namespace remuda {

struct AuthorityFiles {
  std::string certificates;
  std::string key;
};
AuthorityFiles AuthorityFilesIn(const std::string& directory);

// One that was given or made before. NOT_FOUND: a file is not there; FAILED_PRECONDITION: others
// may read the key; INVALID_ARGUMENT: what is wrong with what they hold. All name the file.
absl::StatusOr<identity::Authority> LoadAuthority(const AuthorityFiles& files);

// The one that is there; made, for `cluster`, where none was made before. FAILED_PRECONDITION also
// where the key alone is lost: no other takes its place by itself, as nobody would trust it.
absl::StatusOr<identity::Authority> LoadOrMakeAuthority(const AuthorityFiles& files,
                                                        const std::string& cluster, absl::Time now);

}  // namespace remuda
