// Archives judged and unpacked in a process of its own that may do nothing else: what reads bytes
// from anywhere is not the agent.
//
// The child has no capabilities (but, under Landlock, the one to pass directories), no sockets, no
// children of its own, no rights on files but to the archive and the target directory (Landlock; to
// read, what locales are made of too), the apps' filter of system calls, and limits of time,
// memory, open files and the size of each file. It ends with the process that began it.
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
// Blocks; any thread, which must not end before this returns. Unavailable also: the child could not
// be run, or did not end by itself in time. Cancelled: `cancel_fd` became readable.
absl::StatusOr<UnpackedArchive> UnpackInChild(const std::string& program,
                                              const std::string& archive_path,
                                              const std::string& directory,
                                              const ArchiveLimits& limits, int cancel_fd = -1);

// `remuda-agent unpack ARCHIVE DIRECTORY BYTES ENTRIES NAMES PARENT`: prints a status code, two
// counts and the message. Returns the process's exit code. PARENT: the pid of who began it.
int UnpackMain(int argc, char** argv);

// What UnpackMain does to its own process before it reads a byte of the archive, for good. 0 or an
// errno; `step` says at what. Single-threaded processes only.
int EncloseUnpacking(const std::string& archive, const std::string& directory,
                     const ArchiveLimits& limits, const char*& step);

}  // namespace remuda::agent
