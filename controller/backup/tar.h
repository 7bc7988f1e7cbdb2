// The few parts of a tar (POSIX.1-1988 ustar) that a backup is made of: plain files, one after the
// other. Pure. What is read comes from anywhere: libarchive reads it (restore.cc).
#pragma once

#include <cstdint>
#include <string>

namespace remuda::tar {

inline constexpr int64_t kBlockBytes = 512;

// What stands before a file's bytes. `name` has at most 100 bytes.
std::string Header(const std::string& name, int64_t size_bytes, int64_t unix_seconds);
// Zeros that follow them.
std::string Padding(int64_t size_bytes);
// The end of the archive.
std::string End();
// Bytes that a file takes up in the archive.
int64_t SizeOf(int64_t size_bytes);

}  // namespace remuda::tar
