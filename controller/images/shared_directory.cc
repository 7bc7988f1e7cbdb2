#include "controller/images/shared_directory.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "common/status.h"

namespace remuda {
namespace {

// An id of a cluster is far shorter.
constexpr size_t kMaxMarkBytes = 256;

absl::Status FlagError(const std::string& path, const std::string& what, int error) {
  return Unavailable(
      absl::StrCat("--blobs: ", path, ": cannot ", what, ": ", std::strerror(error)));
}

// A whole file, synced, that nobody else has written before: its name is the process's.
absl::Status WriteNew(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return FlagError(path, "make", errno);
  int error = 0;
  const ssize_t written = write(fd, text.data(), text.size());
  if (written < 0) {
    error = errno;
  } else if (written < static_cast<ssize_t>(text.size())) {
    error = ENOSPC;
  } else if (fsync(fd) != 0) {
    error = errno;
  }
  close(fd);
  return error == 0 ? absl::OkStatus() : FlagError(path, "write", error);
}

bool IsMissing(const std::string& path) {
  return access(path.c_str(), F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

}  // namespace

absl::Status ClaimSharedDirectory(const std::string& directory, const std::string& cluster_id,
                                  bool has_images) {
  if (has_images && IsMissing(directory + "/cluster") && IsMissing(directory + "/sha256")) {
    return FailedPrecondition(
        "NO_IMAGES",
        absl::StrCat("--blobs: ", directory,
                     " has neither the mark nor the images of a cluster, and this cluster has "
                     "images: is it mounted? (Images of before are to be moved to ",
                     directory, "/sha256; if they are lost, make that folder.)"));
  }
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return FlagError(directory, "make", error.value());
  const std::string mark = directory + "/cluster";
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  const std::string mine = absl::StrCat(directory, "/.cluster-", host, "-", getpid());
  // Also where the mark is there already: that it can be written is known from the start on.
  absl::Status status = WriteNew(mine, cluster_id + "\n");
  // The mark appears whole, and one controller makes it.
  if (status.ok() && link(mine.c_str(), mark.c_str()) != 0 && errno != EEXIST)
    status = FlagError(mark, "make", errno);
  unlink(mine.c_str());
  if (!status.ok()) return status;
  std::ifstream in(mark);
  std::string found;
  if (!std::getline(in, found) || found.size() > kMaxMarkBytes) return FlagError(mark, "read", EIO);
  if (found == cluster_id) return absl::OkStatus();
  return FailedPrecondition(
      "OTHER_CLUSTER", absl::StrCat("--blobs: ", directory, " is the directory of cluster ", found,
                                    " (", mark, "), and this is cluster ", cluster_id));
}

}  // namespace remuda
