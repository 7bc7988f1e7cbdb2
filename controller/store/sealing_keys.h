// SealingKeys: the keys under which rows that may hold secrets are sealed, from a file outside the
// store.
//
// The file has a key a line, 64 hexadecimal digits (32 bytes); `#` begins a comment. The first
// seals, all of them open: a key that is put before the others is taken up at the next start, which
// seals everything anew. Blocking I/O; any thread.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

namespace remuda {

inline constexpr size_t kSealingKeyBytes = 32;
inline constexpr size_t kMaxSealingKeys = 16;

struct SealingKeys {
  std::string file;               // named in errors
  std::vector<std::string> keys;  // at least one, kSealingKeyBytes each
};

// NOT_FOUND if there is no such file. FAILED_PRECONDITION: others than its owner may read it, it
// belongs to another user (of root's reading also: but the one whose its directory is), or a line
// is no key; the text names file and line, and no key.
absl::StatusOr<SealingKeys> ReadSealingKeys(const std::string& file);

// Makes the file with one random key, mode 0600, and has it on disk when it answers. An error if it
// is there.
absl::StatusOr<SealingKeys> MakeSealingKeys(const std::string& file);

}  // namespace remuda
