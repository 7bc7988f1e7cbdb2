#include "common/private_directory.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace remuda {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kOthers = S_IRWXG | S_IRWXO;

absl::Status Fault(std::string_view setting, const std::string& path, const std::string& what) {
  return absl::FailedPreconditionError(absl::StrCat(std::string(setting), " ", path, ": ", what));
}

}  // namespace

absl::StatusOr<bool> MakePrivateDirectory(const std::string& path, std::string_view marker,
                                          std::string_view setting) {
  std::error_code error;
  const fs::path parent = fs::absolute(path, error).lexically_normal().parent_path();
  fs::create_directories(parent, error);
  if (mkdir(path.c_str(), 0700) == 0) return false;
  struct stat info {};
  if (errno != EEXIST || stat(path.c_str(), &info) != 0)
    return Fault(setting, path, absl::StrCat("cannot be made: ", std::strerror(errno)));
  if (!S_ISDIR(info.st_mode)) return Fault(setting, path, "is not a directory");
  if (info.st_uid != geteuid() && geteuid() != 0) {
    return Fault(setting, path,
                 absl::StrCat("belongs to user ", info.st_uid, ", and this program runs as user ",
                              geteuid(), "; what is kept there is secret"));
  }
  if ((info.st_mode & kOthers) == 0) return false;
  const bool is_ours = fs::is_empty(path, error) || fs::exists(fs::path(path) / marker, error);
  if (!is_ours || error) {
    return Fault(setting, path,
                 absl::StrFormat("others can look into it (mode %04o), and what it holds may be "
                                 "another's, as there is no %s; name a directory of its own, or "
                                 "close it (chmod 0700)",
                                 info.st_mode & 07777, std::string(marker)));
  }
  if (chmod(path.c_str(), info.st_mode & 07777 & ~kOthers) != 0)
    return Fault(setting, path, absl::StrCat("cannot be closed to others: ", std::strerror(errno)));
  return true;
}

absl::StatusOr<bool> MakePrivateFile(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return false;
  if (!S_ISREG(info.st_mode)) return absl::FailedPreconditionError(path + ": is not a file");
  if ((info.st_mode & kOthers) == 0) return false;
  if (chmod(path.c_str(), info.st_mode & 07777 & ~kOthers) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": others can read it, and that cannot be changed: ", std::strerror(errno)));
  }
  return true;
}

}  // namespace remuda
