#include "agent/disk_use.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "agent/process.h"

namespace remuda::agent {
namespace {

constexpr int64_t kBlockBytes = 512;  // of st_blocks, whatever the file system's are

class Look {
 public:
  explicit Look(int64_t enough_bytes) : enough_bytes_(enough_bytes) {}

  void Enter(int parent, const char* name, int depth) {
    if (depth > DiskUse::kMaxDepth) {
      use.is_too_deep = true;
      return;
    }
    const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR* stream = fd < 0 ? nullptr : fdopendir(fd);
    if (stream == nullptr) {
      if (fd >= 0) close(fd);
      return;
    }
    for (const dirent* entry; !IsOver() && (entry = readdir(stream)) != nullptr;) {
      const std::string child = entry->d_name;
      if (child != "." && child != "..") Count(fd, child, depth);
    }
    closedir(stream);
  }

  DiskUse use;

 private:
  bool IsOver() const {
    return use.is_too_deep || use.bytes > enough_bytes_ || use.entries > DiskUse::kMaxEntries;
  }
  void Count(int parent, const std::string& name, int depth) {
    struct stat st {};
    if (fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return;
    ++use.entries;
    const int64_t bytes = int64_t{st.st_blocks} * kBlockBytes;
    if (S_ISDIR(st.st_mode)) {
      use.bytes += bytes;
      Enter(parent, name.c_str(), depth + 1);
    } else {
      // An app cannot give a file of its own a name elsewhere, so that all of them are met.
      use.bytes += bytes / std::max<int64_t>(1, static_cast<int64_t>(st.st_nlink));
    }
  }

  const int64_t enough_bytes_;
};

}  // namespace

DiskUse DiskUseOf(const std::vector<std::string>& directories, int64_t enough_bytes) {
  Look look(enough_bytes);
  for (const std::string& directory : directories) look.Enter(AT_FDCWD, directory.c_str(), 0);
  return look.use;
}

std::string OverDisk(const DiskUse& use, int64_t limit_bytes) {
  if (use.is_too_deep) {
    return "its directories are nested deeper than " + std::to_string(DiskUse::kMaxDepth) +
           ", so that limits.disk cannot be enforced";
  }
  if (use.entries > DiskUse::kMaxEntries) {
    return "it has more than " + std::to_string(DiskUse::kMaxEntries) +
           " files, so that limits.disk cannot be enforced";
  }
  if (use.bytes <= limit_bytes) return "";
  return "over its disk limit: it takes more than " + std::to_string(limit_bytes) + " bytes";
}

}  // namespace remuda::agent
