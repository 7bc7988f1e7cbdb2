#include "agent/image_cache.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <malloc.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <vector>

#include "agent/process.h"
#include "agent/record_file.h"
#include "agent/unpack_child.h"
#include "common/ids.h"
#include "common/sha256.h"

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

constexpr char kPart[] = ".part";         // a download, resumed where it ends
constexpr char kUnpacking[] = ".unpack";  // a directory that is not whole
constexpr char kDurable[] = ".durable";   // marks an image that would survive a loss of power

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

absl::Status CopyBytes(const Fd& in, const Fd& out, const std::string& to) {
  std::vector<char> buffer(size_t{256} * 1024);
  for (;;) {
    const ssize_t n = read(in.get(), buffer.data(), buffer.size());
    if (n == 0) return absl::OkStatus();
    if (n < 0 || write(out.get(), buffer.data(), static_cast<size_t>(n)) != n) {
      return absl::ErrnoToStatus(errno, absl::StrCat("copy to ", to));
    }
  }
}

absl::Status CopyFile(const std::string& from, const std::string& to, mode_t mode) {
  const Fd in(open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!in.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("open ", from));
  const Fd out(open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!out.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("create ", to));
  if (ioctl(out.get(), FICLONE, in.get()) != 0) {
    for (;;) {
      const ssize_t n = copy_file_range(in.get(), nullptr, out.get(), nullptr, size_t{1} << 30, 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS)) {
        // Some file systems cannot; nothing was copied then.
        if (absl::Status status = CopyBytes(in, out, to); !status.ok()) return status;
        break;
      }
      if (n < 0) return absl::ErrnoToStatus(errno, absl::StrCat("copy ", from, " to ", to));
      if (n == 0) break;
    }
  }
  if (fchmod(out.get(), mode & 0777) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("chmod ", to));
  return absl::OkStatus();
}

absl::Status CopyEntry(const fs::directory_entry& entry, const std::string& to) {
  struct stat st {};
  const std::string from = entry.path().string();
  if (lstat(from.c_str(), &st) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("stat ", from));
  if (S_ISREG(st.st_mode)) return CopyFile(from, to, st.st_mode);
  if (S_ISDIR(st.st_mode)) {
    // Writable until it is full; its own mode is set by CopyTree once it is.
    return mkdir(to.c_str(), 0700) == 0 ? absl::OkStatus()
                                        : absl::ErrnoToStatus(errno, absl::StrCat("mkdir ", to));
  }
  std::error_code error;
  fs::copy_symlink(from, to, error);
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("link ", to));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DiskRoom> RoomOf(const std::string& directory) {
  struct statvfs disk {};
  if (statvfs(directory.c_str(), &disk) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("statvfs ", directory));
  // A file system that makes inodes as they are needed says that it has none.
  const uint64_t files =
      disk.f_files == 0 ? std::numeric_limits<uint64_t>::max() : uint64_t{disk.f_favail};
  return DiskRoom{.bytes = uint64_t{disk.f_bavail} * disk.f_frsize,
                  .files = files,
                  .block_bytes = disk.f_frsize};
}

ImageCache::ImageCache(Options options, ImageSource& source)
    : options_(std::move(options)),
      source_(source),
      cancelled_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void ImageCache::Cancel() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(cancelled_.get(), &one, sizeof one);
}

absl::Status ImageCache::Open() {
  std::error_code error;
  fs::create_directories(options_.directory, error);
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("make ", options_.directory));
  // After a restart of the machine, files that were not yet on disk may be cut short.
  const std::string boot_file = options_.directory + "/boot";
  const bool same_boot = ReadWholeFile(boot_file) == BootId();
  std::vector<fs::path> doomed;
  for (const auto& entry : fs::directory_iterator(options_.directory, error)) {
    const std::string path = entry.path().string();
    const bool is_image = IsSha256Hex(entry.path().filename().string());
    if (EndsWith(path, kUnpacking) ||
        (is_image && !same_boot && !fs::exists(path + kDurable, error))) {
      doomed.push_back(entry.path());
    }
  }
  for (const fs::path& path : doomed) fs::remove_all(path, error);
  if (const int failed = WriteFileAtomically(boot_file, BootId(), true); failed != 0) {
    return absl::ErrnoToStatus(failed, absl::StrCat("write ", boot_file));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ImageCache::Ensure(const std::string& digest) {
  if (!IsDigest(digest)) {
    return absl::InvalidArgumentError(
        absl::StrCat("image digest \"", digest, "\": must be sha256: and 64 hex digits"));
  }
  const std::string hex = digest.substr(kDigestPrefix.size());
  const std::string path = PathOf(hex);
  std::error_code error;
  if (fs::is_directory(path, error)) {
    fs::last_write_time(path, fs::file_time_type::clock::now(), error);  // for Prune: used just now
    return path;
  }
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = refused_.find(digest); it != refused_.end())
      return absl::InvalidArgumentError(it->second);
    fetching_.insert(hex);
  }
  absl::StatusOr<std::string> fetched = Fetch(digest, hex);
  const std::lock_guard lock(mutex_);
  fetching_.erase(hex);
  return fetched;
}

std::string ImageCache::Find(const std::string& digest) const {
  if (!IsDigest(digest)) return {};
  std::string path = PathOf(digest.substr(kDigestPrefix.size()));
  std::error_code error;
  return fs::is_directory(path, error) ? path : std::string();
}

void ImageCache::Remember(const std::string& digest, const absl::Status& refusal) {
  const std::lock_guard lock(mutex_);
  if (refused_.size() >= kMaxRemembered) refused_.erase(refused_.begin());
  refused_[digest] = std::string(refusal.message());
}

absl::StatusOr<std::string> ImageCache::Fetch(const std::string& digest, const std::string& hex) {
  const std::string path = PathOf(hex);
  absl::Status status = Download(digest, hex);
  if (status.ok()) status = Unpack(digest, path);
  std::error_code error;
  if (status.ok() || absl::IsInvalidArgument(status)) fs::remove(path + kPart, error);
  // An archive of very many entries takes memory, spread over the heap of this thread, which would
  // keep it.
  malloc_trim(0);
  if (!status.ok()) return status;
  return path;
}

// By digest, since the same digest means the same bytes: while a disk is full, an archive is not
// read again with every try.
absl::StatusOr<UnpackedArchive> ImageCache::Check(const std::string& digest,
                                                  const std::string& archive) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = checked_.find(digest); it != checked_.end()) return it->second;
  }
  auto checked = options_.unpacker.empty() ? CheckArchive(archive, options_.limits, nullptr)
                                           : UnpackInChild(options_.unpacker, archive, "",
                                                           options_.limits, cancelled_.get());
  if (!checked.ok()) return checked;
  const std::lock_guard lock(mutex_);
  if (checked_.size() >= kMaxRemembered) checked_.erase(checked_.begin());
  checked_[digest] = *checked;
  return checked;
}

absl::Status ImageCache::CheckRoom(const UnpackedArchive& needed) const {
  const auto room = options_.room_of(options_.directory);
  if (!room.ok()) return room.status();
  const uint64_t bytes = needed.content_bytes + needed.entries * room->block_bytes;
  if (bytes > room->bytes - std::min(room->bytes, kKeepFreeBytes)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("its files take ", bytes, " bytes; the disk of ", options_.directory, " has ",
                     room->bytes, " left, and ", kKeepFreeBytes, " are kept free"));
  }
  if (needed.entries > room->files) {
    return absl::ResourceExhaustedError(absl::StrCat("it has ", needed.entries,
                                                     " files; the disk of ", options_.directory,
                                                     " takes ", room->files, " more"));
  }
  return absl::OkStatus();
}

absl::Status ImageCache::CheckRoomToFetch(uint64_t bytes) const {
  const auto room = options_.room_of(options_.directory);
  if (!room.ok()) return room.status();
  if (bytes <= room->bytes - std::min(room->bytes, kKeepFreeBytes)) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("it cannot be fetched: the disk of ", options_.directory, " has ", room->bytes,
                   " left, and ", kKeepFreeBytes, " are kept free"));
}

absl::Status ImageCache::Unpack(const std::string& digest, const std::string& path) {
  const auto annotated = [&](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat("image ", digest, ": ", status.message()));
  };
  const auto needed = Check(digest, path + kPart);
  if (!needed.ok()) {
    const absl::Status status = annotated(needed.status());
    // These bytes have the digest, so that they will never do. (Others may come for it next time.)
    // What fails later may be this host's fault.
    if (absl::IsInvalidArgument(status)) Remember(digest, status);
    return status;
  }
  if (absl::Status status = CheckRoom(*needed); !status.ok()) return annotated(status);
  std::error_code error;
  const std::string unpacking = path + kUnpacking;
  fs::remove_all(unpacking, error);
  fs::create_directory(unpacking, error);
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("make ", unpacking));
  const auto unpacked = options_.unpacker.empty()
                            ? UnpackArchive(path + kPart, unpacking, options_.limits)
                            : UnpackInChild(options_.unpacker, path + kPart, unpacking,
                                            options_.limits, cancelled_.get());
  if (!unpacked.ok()) {
    fs::remove_all(unpacking, error);
    return annotated(unpacked.status());
  }
  if (rename(unpacking.c_str(), path.c_str()) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("rename ", path));
  const std::lock_guard lock(mutex_);
  checked_.erase(digest);
  return absl::OkStatus();
}

absl::Status ImageCache::Download(const std::string& digest, const std::string& hex) {
  const std::string part = PathOf(hex) + kPart;
  const Fd file(open(part.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!file.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("open ", part));
  uint64_t size = 0;
  Sha256 hash;
  std::vector<char> buffer(size_t{256} * 1024);
  for (ssize_t n;
       (n = pread(file.get(), buffer.data(), buffer.size(), static_cast<off_t>(size))) > 0;) {
    hash.Update(buffer.data(), static_cast<size_t>(n));
    size += static_cast<uint64_t>(n);
  }
  const auto sink = [&](std::string_view chunk) -> absl::Status {
    if (chunk.size() > options_.max_archive_bytes - std::min(size, options_.max_archive_bytes)) {
      return absl::InvalidArgumentError(
          absl::StrCat("image ", digest, ": is over ", options_.max_archive_bytes, " bytes"));
    }
    if (absl::Status status = CheckRoomToFetch(chunk.size()); !status.ok())
      return absl::Status(status.code(), absl::StrCat("image ", digest, ": ", status.message()));
    hash.Update(chunk);
    size += chunk.size();
    while (!chunk.empty()) {
      const ssize_t n = write(file.get(), chunk.data(), chunk.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return absl::ErrnoToStatus(errno, absl::StrCat("write ", part));
      chunk.remove_prefix(static_cast<size_t>(n));
    }
    return absl::OkStatus();
  };
  const bool resumed = size > 0;
  absl::Status status = source_.Fetch(digest, size, sink);
  std::error_code error;
  if (!status.ok()) {
    // What came so far is kept for the next try, unless it can be of no use.
    if (absl::IsInvalidArgument(status) || absl::IsNotFound(status) || absl::IsOutOfRange(status) ||
        absl::IsDataLoss(status)) {
      fs::remove(part, error);
    }
    return status;
  }
  const std::string got = hash.HexDigest();
  if (got == hex) return absl::OkStatus();
  fs::remove(part, error);
  const std::string message =
      absl::StrCat("image ", digest, ": the bytes have the digest sha256:", got);
  // A resumed file may have been damaged on this disk, so the next try begins anew; a fresh one is
  // wrong at its source.
  return resumed ? absl::UnavailableError(message) : absl::InvalidArgumentError(message);
}

uint64_t ImageCache::BytesOfPart(const std::string& digest) const {
  if (digest.size() < kDigestPrefix.size()) return 0;
  std::error_code error;
  const auto bytes = fs::file_size(PathOf(digest.substr(kDigestPrefix.size())) + kPart, error);
  return error ? 0 : uint64_t{bytes};
}

void ImageCache::MakeDurable() {
  std::vector<std::string> images;
  std::error_code error;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& entry : fs::directory_iterator(options_.directory, error)) {
      const std::string path = entry.path().string();
      if (IsSha256Hex(entry.path().filename().string()) && !fs::exists(path + kDurable, error))
        images.push_back(path);
    }
  }
  if (images.empty()) return;
  const Fd fd(open(options_.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || syncfs(fd.get()) != 0) return;
  for (const std::string& path : images) WriteFileAtomically(path + kDurable, "", true);
}

void ImageCache::Prune(const std::set<std::string>& used_digests) {
  struct Unused {
    fs::file_time_type time;
    fs::path path;
  };
  const std::lock_guard lock(mutex_);
  std::vector<Unused> unused;
  std::error_code error;
  const auto too_old = fs::file_time_type::clock::now() - kKeepPart;
  for (const auto& entry : fs::directory_iterator(options_.directory, error)) {
    const std::string name = entry.path().filename().string();
    if (EndsWith(name, kPart)) {
      const std::string hex = name.substr(0, name.size() - std::strlen(kPart));
      if (used_digests.count(absl::StrCat("sha256:", hex)) == 0 && fetching_.count(hex) == 0 &&
          entry.last_write_time(error) < too_old) {
        fs::remove(entry.path(), error);
      }
      continue;
    }
    if (!IsSha256Hex(name) || used_digests.count(absl::StrCat("sha256:", name)) > 0) continue;
    unused.push_back({entry.last_write_time(error), entry.path()});
  }
  std::sort(unused.begin(), unused.end(),
            [](const Unused& a, const Unused& b) { return a.time > b.time; });
  for (size_t i = kKeepUnused; i < unused.size(); ++i) {
    // Renamed first, so that a half deleted one never has an image's name.
    const fs::path doomed = unused[i].path.string() + kUnpacking;
    fs::rename(unused[i].path, doomed, error);
    if (error) continue;
    fs::remove(unused[i].path.string() + kDurable, error);
    fs::remove_all(doomed, error);
  }
}

absl::Status CopyTree(const std::string& from, const std::string& to, int64_t uid, int64_t gid) {
  std::error_code error;
  // Nobody passes it before it is whole: what belongs to the user already could be replaced by a
  // link by something that runs as that user, and this goes by names.
  if (mkdir(to.c_str(), 0700) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("mkdir ", to));
  struct Directory {
    std::string path;
    mode_t mode;
  };
  std::vector<Directory> directories;
  const auto own = [&](const std::string& path) {
    if (uid >= 0 && lchown(path.c_str(), static_cast<uid_t>(uid), static_cast<gid_t>(gid)) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("chown ", path));
    }
    return absl::OkStatus();
  };
  fs::recursive_directory_iterator it(from, error), end;
  for (; !error && it != end; it.increment(error)) {
    const std::string target = absl::StrCat(to, it->path().string().substr(from.size()));
    if (absl::Status status = CopyEntry(*it, target); !status.ok()) return status;
    if (absl::Status status = own(target); !status.ok()) return status;
    if (it->is_directory(error) && !it->is_symlink(error)) {
      struct stat st {};
      stat(it->path().c_str(), &st);
      directories.push_back({target, st.st_mode & 0777});
    }
  }
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("read ", from));
  for (const Directory& directory : directories) chmod(directory.path.c_str(), directory.mode);
  if (chmod(to.c_str(), 0755) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("chmod ", to));
  return own(to);
}

}  // namespace remuda::agent
