// The first entry of a backup's archive: what is in it, with sizes and digests. Pure.
//
// Lines of words, so that a person can read it:
//   remuda-backup 1
//   cluster_id ID / epoch N / commit N / schema N / sealing_key ID / images with|without
//   file NAME BYTES SHA256            as it stands, one line for each entry, in their order
//   sealed NAME BYTES SHA256          sealed under the key (Sealer), of place `file NAME`
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace remuda {

struct BackupEntry {
  std::string name;  // below the data directory
  int64_t size_bytes = 0;
  std::string sha256;  // 64 lower-case hex digits
  bool is_sealed = false;
};

struct BackupManifest {
  static constexpr char kName[] = "manifest";
  static constexpr char kState[] = "state.db";  // always the first entry
  static constexpr char kImages[] = "images/sha256/";
  static constexpr int64_t kMaxBytes = 8 << 20;
  static constexpr size_t kMaxEntries = 50'000;
  static constexpr int64_t kMaxEntryBytes = (int64_t{8} << 30) - 1;  // of tar's plain headers

  std::string cluster_id;
  int64_t epoch = 0;
  int64_t commit = 0;
  int schema = 0;
  std::string sealing_key;  // id
  bool has_images = true;
  std::vector<BackupEntry> entries;
};

std::string Print(const BackupManifest& manifest);

// INVALID_ARGUMENT names the line and what is wrong with it. Names of entries are those that
// backups have: kState first, kImages with the entry's digest, and sealed files without a slash at
// either end, `..` or what is not [a-z0-9._/-].
absl::StatusOr<BackupManifest> ParseManifest(std::string_view text);

}  // namespace remuda
