// The cluster's authority where several controllers share it: in the store, sealed; each has a copy
// in its own files, from which it issues certificates.
//
// Thread: any one at a time; calls block for I/O.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>

#include "controller/store/store.h"

namespace remuda {

// Key of the shared value: the certificates, then the private key, PEM.
inline constexpr char kSharedAuthority[] = "authority";

// Puts the shared one into `directory` (AuthorityFilesIn), which is made. False: none is shared.
// FAILED_PRECONDITION: there is another one already.
absl::StatusOr<bool> TakeSharedAuthority(Store& store, const std::string& directory);

// Of who leads: shares that of `directory`, which is made, for `cluster`, where there is none; or
// takes the one that is shared.
absl::Status ShareAuthority(Store& store, const std::string& directory, const std::string& cluster,
                            absl::Time now);

}  // namespace remuda
