// How much of the disk directories take that an app writes to while it is looked at.
//
// Blocks; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace remuda::agent {

struct DiskUse {
  // Work of one look. What an app keeps beyond these cannot be told, so that it counts as too much.
  static constexpr int64_t kMaxEntries = 500'000;
  static constexpr int kMaxDepth = 200;

  int64_t bytes = 0;  // blocks, of which holes have none; what has several names counts once
  int64_t entries = 0;
  bool is_too_deep = false;
};

// Of all files in the directories; ends early above `enough_bytes` or beyond the bounds. Goes
// through no symbolic link. What is not there, or goes away meanwhile, takes nothing. Files that
// are open and have no name any more are not seen.
DiskUse DiskUseOf(const std::vector<std::string>& directories, int64_t enough_bytes);

// Empty; or what is over the limit, for a person.
std::string OverDisk(const DiskUse& use, int64_t limit_bytes);

}  // namespace remuda::agent
