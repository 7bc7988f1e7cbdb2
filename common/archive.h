// Image archives: a directory packed into one tar.zst, and an archive from anywhere unpacked with
// nothing written outside the given directory. Both block; call them on a thread that may.
//
// What is refused, always with the entry's name: absolute names, "..", names under a symbolic link,
// links that lead out, devices, FIFOs, sockets, set-user-id and set-group-id files, duplicate
// names, and more bytes, entries or names than the limits (a "bomb").
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <string>

namespace remuda {

struct ArchiveLimits {
  uint64_t max_content_bytes = uint64_t{4} << 30;  // the sum of all files, unpacked
  uint64_t max_entries = 200'000;                  // files, directories and links
  uint64_t max_names_bytes = uint64_t{64} << 20;   // the sum of their names, which are held at once
  uint64_t max_name_bytes = 4000;                  // of one name, directories and all
  uint64_t max_depth = 100;                        // directories within each other
  // How many times the archive's own size the content may be, once it is over small_content_bytes.
  uint64_t max_ratio = 1000;
  uint64_t small_content_bytes = uint64_t{256} << 20;
};

struct PackOptions {
  ArchiveLimits limits = {};
  // Sockets and FIFOs, which a running app may have in its directory, are left out instead of
  // refused.
  bool skip_sockets_and_fifos = false;
};

struct PackedArchive {
  std::string sha256;  // of the archive file
  uint64_t archive_bytes = 0;
  uint64_t content_bytes = 0;
  uint64_t entries = 0;
};

struct UnpackedArchive {
  uint64_t content_bytes = 0;
  uint64_t entries = 0;
};

// Packs what is below `directory` (not itself) into the new file `archive_path` as tar.zst.
// Deterministic: names are sorted, owners and times are left out, so that the same names, modes and
// contents give the same bytes, whatever the locale: names are taken for UTF-8, and those that are
// not are kept as they are. On error the file is removed.
absl::StatusOr<PackedArchive> PackDirectory(const std::string& directory,
                                            const std::string& archive_path,
                                            const PackOptions& options = {});

// Unpacks a tar, tar.gz or tar.zst into `directory`, which must exist and be empty. Owners and
// times are not taken over; modes are. On error the directory is left with a part of it: unpack
// into a temporary one and rename. InvalidArgument: the archive is refused; other codes: this
// host's file system failed.
absl::StatusOr<UnpackedArchive> UnpackArchive(const std::string& archive_path,
                                              const std::string& directory,
                                              const ArchiveLimits& limits = {});

// Reads all of a tar, tar.gz or tar.zst by the same rules and limits, writes nothing, and says what
// unpacking would make. InvalidArgument: it would be refused, and why (the file's own name is not
// told). Unavailable: this host could not read it. Cancelled: as `cancelled`, asked now and then,
// wished.
absl::StatusOr<UnpackedArchive> CheckArchive(const std::string& archive_path,
                                             const ArchiveLimits& limits,
                                             const std::function<bool()>& cancelled);

}  // namespace remuda
