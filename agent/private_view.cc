#include "agent/private_view.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "agent/process.h"

namespace remuda::agent {
namespace {

constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV;
// Holds directories alone: the ways to what stays visible.
constexpr char kHiddenOptions[] = "size=1m,nr_inodes=4096,mode=0711";
constexpr char kSharedMemoryOptions[] = "size=256m,mode=1777";

std::string PathOf(const Fd& fd) { return "/proc/self/fd/" + std::to_string(fd.get()); }

bool IsWithin(const std::string& path, const std::string& directory) {
  return path == directory ||
         (path.size() > directory.size() && path.compare(0, directory.size(), directory) == 0 &&
          path[directory.size()] == '/');
}

// The directory at an absolute path without symbolic links, made where it is missing. Through no
// link: on the way may be a directory that an app can write to.
Fd MakeWay(const std::string& path) {
  Fd at(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (size_t begin = 1; at.valid() && begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty()) continue;
    if (mkdirat(at.get(), name.c_str(), 0711) != 0 && errno != EEXIST) return Fd();
    at = Fd(openat(at.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  return at;
}

int Bind(const Fd& from, const std::string& to, unsigned long flags = kPlain) {
  const Fd at = MakeWay(to);
  if (!at.valid()) return errno;
  if (mount(PathOf(from).c_str(), PathOf(at).c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
    return errno;
  // What is mounted there now, not what `at` is: that lies below it.
  if (mount(nullptr, to.c_str(), nullptr, MS_REMOUNT | MS_BIND | flags, nullptr) != 0) return errno;
  return 0;
}

bool IsDirectory(const std::string& path) {
  struct stat st {};
  return lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

}  // namespace

std::string FirstClosed(const std::string& path) {
  for (size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    struct stat st {};
    if (stat(part.c_str(), &st) == 0 && (st.st_mode & S_IXOTH) == 0) return part;
  }
  return path;
}

int PrivateView::Fail(const std::string& what) {
  failed = what;
  return errno == 0 ? EIO : errno;
}

int PrivateView::Hide(const std::string& directory) {
  const Fd at = MakeWay(directory);
  if (!at.valid()) return Fail("hide " + directory);
  if (mount("remuda", PathOf(at).c_str(), "tmpfs", kPlain | MS_NOEXEC, kHiddenOptions) != 0)
    return Fail("hide " + directory);
  return 0;
}

int PrivateView::Enter() {
  // Of memory that processes share and leave behind no limit would know any more. Some kernels have
  // no such namespace.
  if (unshare(CLONE_NEWNS | CLONE_NEWIPC) != 0 && (errno != EINVAL || unshare(CLONE_NEWNS) != 0))
    return Fail("make a mount namespace");
  // What the host mounts and unmounts later is seen here too; nothing of this is seen there.
  if (mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return Fail("make a mount namespace of its own");
  // Opened before anything covers them, and in this namespace: what another one has cannot be
  // bound.
  const auto open_directory = [](const std::string& path) {
    return Fd(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  };
  const Fd app_fd = open_directory(app);
  if (!app_fd.valid()) return Fail("open " + app);
  Fd tmp_fd;
  if (!tmp.empty()) {
    tmp_fd = Fd(open(tmp.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!tmp_fd.valid()) return Fail("open " + tmp);
  }
  struct Kept {
    std::string path;
    Fd fd;
    unsigned long flags;
  };
  std::vector<Kept> kept;
  for (const bool is_writable : {false, true}) {
    for (const std::string& path : is_writable ? keep_writable : keep) {
      Fd fd = open_directory(path);
      if (!fd.valid()) return Fail("open " + path);
      // What belongs to the app's user (its secrets) could be opened for writing by its mode.
      kept.push_back({path, std::move(fd), is_writable ? kPlain : kPlain | MS_RDONLY});
    }
  }

  std::vector<std::string> covered;
  if (tmp_fd.valid()) {
    for (const char* path : {"/tmp", "/var/tmp"}) {
      if (!IsDirectory(path)) continue;
      if ((errno = Bind(tmp_fd, path)) != 0) return Fail(std::string("mount ") + path);
      covered.emplace_back(path);
    }
    if (IsDirectory("/dev/shm") &&
        mount("remuda", "/dev/shm", "tmpfs", kPlain, kSharedMemoryOptions) != 0) {
      return Fail("mount /dev/shm");
    }
  }
  for (const std::string& directory : hidden) {
    if (Hide(directory) != 0) return errno;
    covered.push_back(directory);
  }
  const auto is_covered = [&](const std::string& path) {
    for (const std::string& directory : covered) {
      if (IsWithin(path, directory)) return true;
    }
    return false;
  };
  for (const Kept& one : kept) {
    if (is_covered(one.path) && (errno = Bind(one.fd, one.path, one.flags)) != 0)
      return Fail("mount " + one.path);
  }
  if (is_covered(app) && (errno = Bind(app_fd, app)) != 0) return Fail("mount " + app);
  // Where it may not be mounted anew (in some containers), the users' ids keep processes apart.
  static_cast<void>(!mount("proc", "/proc", "proc", kPlain | MS_NOEXEC, "hidepid=2"));
  return 0;
}

}  // namespace remuda::agent
