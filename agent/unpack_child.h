// Archives judged and unpacked in a process of its own that may do nothing else: what reads bytes
// from anywhere is not the agent.
//
// The child has no capabilities (but, under Landlock, the one to pass directories), no sockets, no
// rights on files but to the archive and the target directory (Landlock), the apps' filter of
// system calls, and limits of time, memory, open files and the size of each file.
#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <string>

#include "common/archive.h"

namespace remuda::agent {

struct UnpackLimits {
  static constexpr std::chrono::minutes kTime{10};
  static constexpr int64_t kMemoryBytes = int64_t{2} << 30;  // of its address space
  static constexpr int64_t kOpenFiles = 64;
};

// As CheckArchive (`directory` empty) or UnpackArchive of common/archive, in `program unpack`.
// Blocks; any thread. Unavailable also: the child could not be run, or did not end by itself in
// time.
absl::StatusOr<UnpackedArchive> UnpackInChild(const std::string& program,
                                              const std::string& archive_path,
                                              const std::string& directory,
                                              const ArchiveLimits& limits);

// `remuda-agent unpack ARCHIVE DIRECTORY BYTES ENTRIES NAMES`: prints a status code, two counts and
// the message. Returns the process's exit code.
int UnpackMain(int argc, char** argv);

}  // namespace remuda::agent
