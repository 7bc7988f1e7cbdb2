// What a data directory says of itself, in its record `machine`: whose it is, and where it was when
// that was written. (`identity` is the directory of key and certificate, common/identity.)
//
// Plain values; the file is read and written on the caller's thread.
#pragma once

#include <cstdint>
#include <string>

#include "agent/process.h"

namespace remuda::agent {

// Where a data directory is. Inodes alone: a file system that is mounted again may get another
// device number.
struct Place {
  std::string boot_id;
  int64_t directory = 0;  // 0, as `lock`: not known
  int64_t lock = 0;

  bool operator==(const Place&) const = default;
};

struct Identity {
  std::string machine_id;  // empty: not made yet
  std::string cluster_id;  // with epoch and host from the Welcome; empty: there was none
  int64_t epoch = 0;       // the highest seen
  std::string host;
  Place place;
};

// Whether a file keeps its inode's number on a file system of this kind (statfs's f_type) while
// that is mounted, and from one mount to the next.
bool HasStableInodes(uint32_t file_system);
// Without inodes where they are not stable.
Place PlaceOf(const std::string& directory, const Fd& lock);

// Whether a directory that says `written` is surely a copy, for it is `here` in the same boot. One
// that was renamed, or whose lock was deleted, is none; nor is one whose place is not known.
bool IsCopy(const Place& written, const Place& here);

// In a data directory.
std::string MachinePath(const std::string& data_directory);
// Earlier agents had the record where key and certificate are now: moves it. To be called before
// either is looked at.
void MoveOldRecord(const std::string& data_directory);

// Empty fields: not written yet.
Identity ReadIdentity(const std::string& path);
// On disk when this returns. Returns 0 or an errno.
int WriteIdentity(const std::string& path, const Identity& identity);

}  // namespace remuda::agent
