#include "controller/backup/give_to_owner.h"

#include <absl/strings/str_cat.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "common/status.h"

namespace remuda {

namespace fs = std::filesystem;

absl::Status GiveToOwner(const std::string& directory, const std::string& top) {
  struct stat owner {};
  if (geteuid() != 0 || stat(directory.c_str(), &owner) != 0 || owner.st_uid == 0)
    return absl::OkStatus();
  std::error_code error;
  const fs::file_status status = fs::symlink_status(top, error);
  if (!fs::exists(status)) return absl::OkStatus();
  std::vector<std::string> paths = {top};
  if (fs::is_directory(status)) {
    for (const auto& entry : fs::recursive_directory_iterator(top, error))
      paths.push_back(entry.path().string());
  }
  for (const std::string& path : paths) {
    if (lchown(path.c_str(), owner.st_uid, owner.st_gid) != 0) {
      return Unavailable(
          absl::StrCat(path, ": cannot be given to its owner: ", std::strerror(errno)));
    }
  }
  return absl::OkStatus();
}

}  // namespace remuda
