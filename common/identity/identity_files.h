// Where a program keeps its identity: a directory of its own (0700) with
//   identity.pem      its private key, its certificate, then those between it and the authority
//   authorities.pem   what it trusts
// Both are replaced as wholes (atomic rename, synced), so that a reader sees the old or the new.
//
// Thread: pure functions over files.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "common/identity/peer.h"

namespace remuda::identity {

inline constexpr size_t kMaxIdentityFileBytes = 256 * 1024;

struct IdentityFiles {
  std::string identity;
  std::string authorities;
};
IdentityFiles FilesIn(const std::string& directory);

// What stands in them.
struct Identity {
  Peer peer;
  std::string key_pem;
  std::string certificate_pem;  // with its chain
  std::string authorities_pem;
};

// NOT_FOUND: a file is not there. FAILED_PRECONDITION: others may read the key, or it is somebody
// else's. INVALID_ARGUMENT: what is in them cannot be used, and why. All name the file. Does not
// look at the time.
absl::StatusOr<Identity> LoadIdentity(const IdentityFiles& files);

// Writes both, the authorities first; makes the directory. Errors name the file.
absl::Status SaveIdentity(const IdentityFiles& files, const std::string& key_pem,
                          const std::string& certificate_pem, const std::string& authorities_pem);

// FAILED_PRECONDITION: others may read the file, or it is somebody else's (root may read it).
absl::Status CheckPrivate(const std::string& path);
// Writes a file that only its owner can read, by a rename, synced.
absl::Status WritePrivateFile(const std::string& path, std::string_view bytes);
// Reads one that is at most `max_bytes` long.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t max_bytes);

}  // namespace remuda::identity
