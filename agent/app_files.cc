#include "agent/app_files.h"

#include <absl/strings/str_cat.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "agent/image_cache.h"
#include "agent/record_file.h"
#include "agent/supervisor.h"

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

// A path deeper than this is left behind.
constexpr int kMaxDepth = 100;

std::vector<std::string> NamesIn(int directory) {
  std::vector<std::string> names;
  const int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return names;
  DIR* stream = fdopendir(copy);
  if (stream == nullptr) {
    close(copy);
    return names;
  }
  while (const dirent* entry = readdir(stream)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(stream);
  return names;
}

// Moves what the app wrote from its old directory into the new one. Through descriptors, and never
// through a symbolic link: the directories are the app's user's, who may run something else.
class CarryOver {
 public:
  struct Owners {
    uid_t old_uid, new_uid;
    gid_t new_gid;
  };
  explicit CarryOver(const Owners& owners) : owners_(owners) {}

  // `image`: the old image's directory at this place; invalid: it has none.
  absl::Status Move(const Fd& from, const Fd& image, const Fd& to, const std::string& path) {
    if (depth_ >= kMaxDepth) return absl::OkStatus();
    ++depth_;
    for (const std::string& name : NamesIn(from.get())) {
      const absl::Status status = MoveOne(from, image, to, name, path + "/" + name);
      if (!status.ok()) return status;
    }
    --depth_;
    return absl::OkStatus();
  }

 private:
  static Fd Enter(int directory, const std::string& name) {
    return Fd(openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  // Of what `name` is there; nullopt: nothing.
  static std::optional<struct stat> Look(const Fd& directory, const std::string& name) {
    struct stat st {};
    if (!directory.valid() ||
        fstatat(directory.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
      return std::nullopt;
    }
    return st;
  }

  absl::Status MoveOne(const Fd& from, const Fd& image, const Fd& to, const std::string& name,
                       const std::string& path) {
    const auto here = Look(from, name);
    const auto of_image = Look(image, name);
    auto there = Look(to, name);
    if (!here) return absl::OkStatus();
    const bool is_directory = S_ISDIR(here->st_mode);
    if (of_image && !(is_directory && S_ISDIR(of_image->st_mode))) return absl::OkStatus();
    if (!of_image && !there) return MoveWhole(from, to, name, path);
    if (!is_directory) return absl::OkStatus();
    // Of a directory of the image, what the app put into it.
    const Fd from_inner = Enter(from.get(), name);
    if (!from_inner.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("read ", path));
    const bool is_made = !there;
    if (is_made) {
      const Fd image_inner = Enter(image.get(), name);
      if (!HasOwn(from_inner, image_inner)) return absl::OkStatus();
      if (mkdirat(to.get(), name.c_str(), (here->st_mode & 0777) | S_IRWXU) != 0)
        return absl::ErrnoToStatus(errno, absl::StrCat("make ", path));
      there = Look(to, name);
    }
    if (!there || !S_ISDIR(there->st_mode)) return absl::OkStatus();  // the new image's file wins
    const Fd to_inner = Enter(to.get(), name);
    if (!to_inner.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("read ", path));
    if (is_made) {
      const bool is_old = here->st_uid == owners_.old_uid;
      static_cast<void>(!fchown(to_inner.get(), is_old ? owners_.new_uid : here->st_uid,
                                is_old ? owners_.new_gid : here->st_gid));
    }
    return Move(from_inner, of_image ? Enter(image.get(), name) : Fd(), to_inner, path);
  }

  // Whether there is anything in it, at any depth, that the image does not have.
  static bool HasOwn(const Fd& from, const Fd& image, int depth = 0) {
    if (depth >= kMaxDepth) return false;
    for (const std::string& name : NamesIn(from.get())) {
      const auto here = Look(from, name);
      const auto of_image = Look(image, name);
      if (!of_image) return true;
      if (here && S_ISDIR(here->st_mode) && S_ISDIR(of_image->st_mode) &&
          HasOwn(Enter(from.get(), name), Enter(image.get(), name), depth + 1)) {
        return true;
      }
    }
    return false;
  }

  absl::Status MoveWhole(const Fd& from, const Fd& to, const std::string& name,
                         const std::string& path) const {
    if (renameat(from.get(), name.c_str(), to.get(), name.c_str()) != 0)
      return absl::ErrnoToStatus(errno, absl::StrCat("keep ", path));
    if (owners_.old_uid != owners_.new_uid) GiveTree(to, name, 0);
    return absl::OkStatus();
  }

  // To the new user, what the old one had. Best effort: what cannot be given stays whose it is.
  // What was looked at is what is given, whatever the name stands for meanwhile.
  struct stat Give(const Fd& directory, const std::string& name) const {
    const Fd one(openat(directory.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat st {};
    if (!one.valid() || fstat(one.get(), &st) != 0 || st.st_uid != owners_.old_uid) return st;
    static_cast<void>(!fchownat(one.get(), "", owners_.new_uid, owners_.new_gid, AT_EMPTY_PATH));
    return st;
  }
  void GiveTree(const Fd& directory, const std::string& name, int depth) const {
    if (depth >= kMaxDepth || !S_ISDIR(Give(directory, name).st_mode)) return;
    const Fd inner = Enter(directory.get(), name);
    if (!inner.valid()) return;
    for (const std::string& child : NamesIn(inner.get())) GiveTree(inner, child, depth + 1);
  }

  const Owners owners_;
  int depth_ = 0;
};

Fd OpenDirectory(const std::string& path) {
  return Fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

absl::Status KeepWhatTheAppWrote(const InstanceDir& dir, const ImagePlace& images) {
  const Fd from = OpenDirectory(dir.App());
  if (!from.valid()) {
    if (errno == ENOENT) return absl::OkStatus();
    return absl::ErrnoToStatus(errno, absl::StrCat("read ", dir.App()));
  }
  const Fd to = OpenDirectory(dir.Into());
  struct stat old_st {
  }, new_st{};
  if (!to.valid() || fstat(from.get(), &old_st) != 0 || fstat(to.get(), &new_st) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("read ", dir.Into()));
  // Where the old image is not known any more, everything that is in nothing's way is kept.
  const std::string image = images(DigestOf(ReadWholeFile(dir.Image()).value_or("")));
  const Fd of_image = image.empty() ? Fd() : OpenDirectory(image);
  return CarryOver({.old_uid = old_st.st_uid, .new_uid = new_st.st_uid, .new_gid = new_st.st_gid})
      .Move(from, of_image, to, "app");
}

absl::Status Renamed(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("rename ", from, " to ", to));
}

// Each step leaves what the next one, or the first of another try, goes on from. While app/ is
// there, `image` is of it.
absl::Status FinishInstall(const InstanceDir& dir, const ImagePlace& images,
                           const std::string& doomed) {
  if (absl::Status status = KeepWhatTheAppWrote(dir, images); !status.ok()) return status;
  if (rename(dir.App().c_str(), doomed.c_str()) != 0 && errno != ENOENT)
    return absl::ErrnoToStatus(errno, absl::StrCat("rename ", dir.App()));
  const std::string files_key = ReadWholeFile(dir.NextImage()).value_or("");
  if (const int failed = WriteFileAtomically(dir.Image(), files_key, /*sync=*/false); failed != 0)
    return absl::ErrnoToStatus(failed, absl::StrCat("write ", dir.Image()));
  if (absl::Status status = Renamed(dir.Into(), dir.App()); !status.ok()) return status;
  unlink(dir.NextImage().c_str());
  return absl::OkStatus();
}

}  // namespace

std::string FilesKey(const std::string& digest, const std::string& user) {
  return user.empty() ? digest : absl::StrCat(digest, "\n", user);
}

std::string DigestOf(const std::string& files_key) {
  return files_key.substr(0, files_key.find('\n'));
}

std::string FilesIn(const InstanceDir& dir) {
  std::error_code error;
  const bool is_whole = fs::is_directory(dir.App(), error) && !IsHalfInstalled(dir);
  return is_whole ? ReadWholeFile(dir.Image()).value_or("") : "";
}

std::string NextFilesIn(const InstanceDir& dir) {
  std::error_code error;
  const bool is_there = IsHalfInstalled(dir) || fs::is_directory(dir.Next(), error);
  return is_there ? ReadWholeFile(dir.NextImage()).value_or("") : "";
}

absl::Status PrepareFiles(const std::string& image, const std::string& files_key,
                          const InstanceDir& dir, const std::optional<UserIds>& user) {
  std::error_code error;
  // Others may pass through, to reach app/, but not list it.
  fs::create_directories(dir.path, error);
  chmod(dir.path.c_str(), 0711);
  const std::string partial = dir.path + "/app.partial";
  unlink(dir.NextImage().c_str());
  fs::remove_all(partial, error);
  fs::remove_all(dir.Next(), error);
  absl::Status status = CopyTree(image, partial, user ? static_cast<int64_t>(user->uid) : -1,
                                 user ? static_cast<int64_t>(user->gid) : -1);
  if (!status.ok()) {
    fs::remove_all(partial, error);  // the disk may be full
    return status;
  }
  if (status = Renamed(partial, dir.Next()); !status.ok()) return status;
  if (const int failed = WriteFileAtomically(dir.NextImage(), files_key, /*sync=*/false);
      failed != 0) {
    return absl::ErrnoToStatus(failed, absl::StrCat("write ", dir.NextImage()));
  }
  return absl::OkStatus();
}

bool IsHalfInstalled(const InstanceDir& dir) {
  std::error_code error;
  return fs::is_directory(dir.Into(), error);
}

absl::Status InstallFiles(const InstanceDir& dir, const ImagePlace& images,
                          const std::string& doomed) {
  // Whatever is believed of the instance: where a shim lives, an app is using these files.
  const auto lock = LockInstance(dir);
  if (!lock.ok()) return lock.status();
  if (!IsHalfInstalled(dir)) {
    if (absl::Status status = Renamed(dir.Next(), dir.Into()); !status.ok()) return status;
  }
  return FinishInstall(dir, images, doomed);
}

}  // namespace remuda::agent
