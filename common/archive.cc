#include "common/archive.h"

#include <absl/strings/str_cat.h>
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "common/sha256.h"
#include "common/utf8.h"

namespace remuda {
namespace {

namespace fs = std::filesystem;

// Of a name or a rule in an error.
constexpr size_t kMaxShownBytes = 300;

struct FreeReader {
  void operator()(archive* a) const { archive_read_free(a); }
};
struct FreeWriter {
  void operator()(archive* a) const { archive_write_free(a); }
};
struct FreeEntry {
  void operator()(archive_entry* e) const { archive_entry_free(e); }
};
using Reader = std::unique_ptr<archive, FreeReader>;
using Writer = std::unique_ptr<archive, FreeWriter>;
using Entry = std::unique_ptr<archive_entry, FreeEntry>;

std::string ErrorOf(archive* a) {
  const char* text = archive_error_string(a);
  return text != nullptr ? text : "unknown error";
}

// Whether it says that this host is short of something, or its disk fails: not what the archive is.
bool IsOfThisHost(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EIO:
    case EROFS:
      return true;
    default:
      return false;
  }
}

absl::Status Refused(const std::string& archive, const std::string& entry,
                     const std::string& rule) {
  // Names and rules (which hold links' targets) need not be UTF-8, and may be as long as they like.
  return absl::InvalidArgumentError(absl::StrCat(archive, ": entry \"",
                                                 ValidUtf8(entry, kMaxShownBytes),
                                                 "\": ", ValidUtf8(rule, kMaxShownBytes)));
}

// While one lives, this thread takes names for UTF-8. libarchive asks the locale what a name's
// bytes mean, and in the "C" locale, in which programs begin, it refuses to pack any beyond ASCII.
class Utf8Names {
 public:
  Utf8Names() : utf8_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (utf8_ != nullptr) before_ = uselocale(utf8_);
  }
  ~Utf8Names() {
    if (utf8_ == nullptr) return;
    uselocale(before_);
    freelocale(utf8_);
  }
  Utf8Names(const Utf8Names&) = delete;
  Utf8Names& operator=(const Utf8Names&) = delete;

 private:
  locale_t utf8_;
  locale_t before_ = nullptr;
};

std::vector<std::string_view> Components(std::string_view path) {
  std::vector<std::string_view> out;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (!part.empty() && part != ".") out.push_back(part);
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return out;
}

// The name with "." and doubled slashes taken out; nullopt when it is absolute or has "..".
std::optional<std::string> Normalized(std::string_view path) {
  if (!path.empty() && path.front() == '/') return std::nullopt;
  std::string out;
  for (const std::string_view part : Components(path)) {
    if (part == "..") return std::nullopt;
    if (!out.empty()) out += '/';
    out += part;
  }
  return out;
}

// Whether a symbolic link named `name` (normalized) that points to `target` stays inside. ".." may
// only lead the target: after a component that may itself be a link, it would mean something else
// than the text says.
bool LinkStaysInside(const std::string& name, std::string_view target) {
  if (target.empty() || target.front() == '/') return false;
  size_t depth = Components(name).size() - 1;
  bool leading = true;
  for (const std::string_view part : Components(target)) {
    if (part != "..") {
      leading = false;
    } else if (!leading || depth-- == 0) {
      return false;
    }
  }
  return true;
}

std::string NamesRule(const ArchiveLimits& limits) {
  return absl::StrCat("the names of all entries are over ", limits.max_names_bytes, " bytes");
}

// `name`: normalized.
bool IsTooDeep(const std::string& name, const ArchiveLimits& limits) {
  return static_cast<uint64_t>(std::count(name.begin(), name.end(), '/')) > limits.max_depth;
}
std::string DepthRule(const ArchiveLimits& limits) {
  return absl::StrCat("it lies in more than ", limits.max_depth, " directories");
}

constexpr char kLinkRule[] = "the symbolic link leads out of the archive (target \"";

// ---- packing ----

// An open directory.
class Directory {
 public:
  // `fd`: owned; -1: it could not be opened, as errno says.
  explicit Directory(int fd) : fd_(fd), error_(fd < 0 ? errno : 0) {}
  ~Directory() {
    if (fd_ >= 0) close(fd_);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  int fd() const { return fd_; }
  // What is in it, in no order. 0 or an errno.
  int List(std::vector<std::string>& names) const {
    if (fd_ < 0) return error_;
    const int copy = openat(fd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* stream = copy < 0 ? nullptr : fdopendir(copy);
    if (stream == nullptr) {
      const int error = errno;
      if (copy >= 0) close(copy);
      return error;
    }
    errno = 0;
    while (const dirent* entry = readdir(stream)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    const int error = errno;
    closedir(stream);
    return error;
  }

 private:
  const int fd_;
  const int error_;
};

class Packer {
 public:
  Packer(const std::string& directory, const PackOptions& options)
      : root_(directory), options_(options) {}

  absl::StatusOr<PackedArchive> Run(const std::string& archive_path) {
    out_.reset(archive_write_new());
    archive_write_set_format_pax_restricted(out_.get());
    if (archive_write_add_filter_zstd(out_.get()) != ARCHIVE_OK ||
        archive_write_open_filename(out_.get(), archive_path.c_str()) != ARCHIVE_OK) {
      return absl::UnavailableError(absl::StrCat(archive_path, ": ", ErrorOf(out_.get())));
    }
    const Directory root(open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (const absl::Status status = AddChildren(root, ""); !status.ok()) return status;
    if (archive_write_close(out_.get()) != ARCHIVE_OK) {
      return absl::UnavailableError(absl::StrCat(archive_path, ": ", ErrorOf(out_.get())));
    }
    result_.archive_bytes = static_cast<uint64_t>(archive_filter_bytes(out_.get(), -1));
    absl::StatusOr<std::string> digest = Sha256OfFile(archive_path);
    if (!digest.ok()) return digest.status();
    result_.sha256 = *std::move(digest);
    return result_;
  }

 private:
  // Through descriptors, and never through a symbolic link: what is packed may be an app's that
  // runs, which could put one in the place of a directory that was just looked at.
  absl::Status AddChildren(const Directory& directory, const std::string& below) {
    std::vector<std::string> names;
    if (const int error = directory.List(names); error != 0)
      return absl::ErrnoToStatus(error, absl::StrCat("list ", root_, "/", below));
    std::sort(names.begin(), names.end());
    for (const std::string& base : names) {
      const std::string name = below.empty() ? base : absl::StrCat(below, "/", base);
      if (absl::Status status = AddOne(directory, base, name); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status AddOne(const Directory& directory, const std::string& base,
                      const std::string& name) {
    const std::string path = absl::StrCat(root_, "/", name);
    struct stat st {};
    if (fstatat(directory.fd(), base.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
      return absl::ErrnoToStatus(errno, absl::StrCat("stat ", path));
    if (S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode)) {
      if (options_.skip_sockets_and_fifos) return absl::OkStatus();
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode)) {
      return Refused(root_, name, "only files, directories and symbolic links can be packed");
    }
    if (S_ISREG(st.st_mode) && (st.st_mode & (S_ISUID | S_ISGID)) != 0) {
      return Refused(root_, name, "set-user-id and set-group-id files are not allowed");
    }
    if (++result_.entries > options_.limits.max_entries) {
      return Refused(root_, name,
                     absl::StrCat("more than ", options_.limits.max_entries, " entries"));
    }
    names_bytes_ += name.size();
    if (names_bytes_ > options_.limits.max_names_bytes)
      return Refused(root_, name, NamesRule(options_.limits));
    // As where it is unpacked; and each is open while what is in it is packed.
    if (IsTooDeep(name, options_.limits)) return Refused(root_, name, DepthRule(options_.limits));
    Entry entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), name.c_str());
    archive_entry_set_mode(entry.get(), (st.st_mode & S_IFMT) | (st.st_mode & 0777));
    archive_entry_set_mtime(entry.get(), 0, 0);
    archive_entry_set_size(entry.get(), S_ISREG(st.st_mode) ? st.st_size : 0);
    if (S_ISLNK(st.st_mode)) {
      char target[PATH_MAX];
      const ssize_t n = readlinkat(directory.fd(), base.c_str(), target, sizeof target - 1);
      if (n < 0) return absl::ErrnoToStatus(errno, absl::StrCat("readlink ", path));
      target[n] = '\0';
      if (!LinkStaysInside(name, target))
        return Refused(root_, name, absl::StrCat(kLinkRule, target, "\")"));
      archive_entry_set_symlink(entry.get(), target);
    }
    if (S_ISREG(st.st_mode)) {
      // NOFOLLOW, NONBLOCK: what was a plain file a moment ago may be a link or a FIFO meanwhile.
      const int fd =
          openat(directory.fd(), base.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
      if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("open ", path));
      absl::Status status = AddFile(fd, name, entry.get(), static_cast<uint64_t>(st.st_size));
      close(fd);
      return status;
    }
    if (absl::Status status = WriteHeader(name, entry.get()); !status.ok()) return status;
    if (!S_ISDIR(st.st_mode)) return absl::OkStatus();
    const Directory inner(
        openat(directory.fd(), base.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    return AddChildren(inner, name);
  }

  absl::Status WriteHeader(const std::string& name, archive_entry* entry) {
    const int code = archive_write_header(out_.get(), entry);
    if (code == ARCHIVE_OK) return absl::OkStatus();
    // Written all the same, its bytes as they are.
    const char* target = archive_entry_symlink(entry);
    if (code == ARCHIVE_WARN && !(IsUtf8(name) && IsUtf8(target == nullptr ? "" : target)))
      return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat(root_, "/", name, ": ", ErrorOf(out_.get())));
  }

  absl::Status AddFile(int fd, const std::string& name, archive_entry* entry, uint64_t size) {
    const std::string path = absl::StrCat(root_, "/", name);
    result_.content_bytes += size;
    if (result_.content_bytes > options_.limits.max_content_bytes) {
      return Refused(
          root_, name,
          absl::StrCat("the content is over ", options_.limits.max_content_bytes, " bytes"));
    }
    absl::Status status = WriteHeader(name, entry);
    uint64_t left = size;
    while (status.ok() && left > 0) {
      const ssize_t n = read(fd, buffer_.data(), std::min<uint64_t>(left, buffer_.size()));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        status = absl::ErrnoToStatus(errno, absl::StrCat("read ", path));
      } else if (n == 0) {
        status = absl::AbortedError(absl::StrCat(path, ": became shorter while it was packed"));
      } else if (archive_write_data(out_.get(), buffer_.data(), static_cast<size_t>(n)) != n) {
        status = absl::UnavailableError(absl::StrCat(path, ": ", ErrorOf(out_.get())));
      } else {
        left -= static_cast<uint64_t>(n);
      }
    }
    return status;
  }

  const std::string root_;
  const PackOptions options_;
  Writer out_;
  PackedArchive result_;
  uint64_t names_bytes_ = 0;
  std::vector<char> buffer_ = std::vector<char>(size_t{256} * 1024);
};

// ---- unpacking ----

// Without a directory it only looks: the same rules, and nothing is written.
class Unpacker {
 public:
  Unpacker(const std::string& archive_path, const std::string& shown_name,
           const ArchiveLimits& limits)
      : archive_path_(archive_path), shown_name_(shown_name), limits_(limits) {}

  absl::StatusOr<UnpackedArchive> Run(const std::string& directory) {
    // The secure flags look at every component of the path, so the part that is ours must be free
    // of links.
    std::error_code error;
    root_ = fs::canonical(directory, error).string();
    if (error) return absl::ErrnoToStatus(error.value(), directory);
    const bool is_empty = fs::is_empty(root_, error);
    if (error) return absl::ErrnoToStatus(error.value(), directory);
    if (!is_empty) {
      return absl::FailedPreconditionError(absl::StrCat(directory, ": must be an empty directory"));
    }
    disk_.reset(archive_write_disk_new());
    archive_write_disk_set_options(
        disk_.get(), ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_SECURE_SYMLINKS |
                         ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_NO_OVERWRITE);
    if (absl::Status status = ReadAll(); !status.ok()) return status;
    if (archive_write_close(disk_.get()) != ARCHIVE_OK) return DiskFailed(root_);
    return result_;
  }

  absl::StatusOr<UnpackedArchive> Look(const std::function<bool()>& cancelled) {
    cancelled_ = cancelled;
    if (absl::Status status = ReadAll(); !status.ok()) return status;
    return result_;
  }

 private:
  absl::Status ReadAll() {
    std::error_code error;
    archive_bytes_ = fs::file_size(archive_path_, error);  // where it cannot be read, that is said
    in_.reset(archive_read_new());
    archive_read_support_format_tar(in_.get());
    archive_read_support_filter_gzip(in_.get());
    archive_read_support_filter_zstd(in_.get());
    if (archive_read_open_filename(in_.get(), archive_path_.c_str(), 256 * 1024) != ARCHIVE_OK) {
      return Broken();
    }
    for (;;) {
      if (cancelled_ && cancelled_()) return absl::CancelledError("the archive is not wanted");
      archive_entry* entry = nullptr;
      const int code = archive_read_next_header(in_.get(), &entry);
      if (code == ARCHIVE_EOF) return absl::OkStatus();
      if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return Broken();
      if (absl::Status status = One(entry); !status.ok()) return status;
    }
  }

  absl::Status Broken() {
    if (IsOfThisHost(archive_errno(in_.get())))
      return absl::UnavailableError(absl::StrCat("read ", shown_name_, ": ", ErrorOf(in_.get())));
    return absl::InvalidArgumentError(
        absl::StrCat(shown_name_, ": not a readable tar, tar.gz or tar.zst: ", ErrorOf(in_.get())));
  }
  absl::Status DiskFailed(const std::string& name) {
    return absl::UnavailableError(absl::StrCat("unpack ", name, ": ", ErrorOf(disk_.get())));
  }
  absl::Status Refuse(const std::string& entry, const std::string& rule) {
    return Refused(shown_name_, entry, rule);
  }

  absl::Status One(archive_entry* entry) {
    const char* raw = archive_entry_pathname(entry);
    const std::string shown = raw != nullptr ? raw : "";
    if (++result_.entries > limits_.max_entries) {
      return Refuse(shown, absl::StrCat("more than ", limits_.max_entries, " entries"));
    }
    names_bytes_ += shown.size();
    if (names_bytes_ > limits_.max_names_bytes) return Refuse(shown, NamesRule(limits_));
    if (shown.size() > limits_.max_name_bytes)
      return Refuse(shown, absl::StrCat("the name is over ", limits_.max_name_bytes, " bytes"));
    const std::optional<std::string> name = Normalized(shown);
    if (!name) return Refuse(shown, "the name must be relative and without \"..\"");
    if (name->empty()) return absl::OkStatus();  // "./" itself
    if (IsTooDeep(*name, limits_)) return Refuse(shown, DepthRule(limits_));
    if (absl::Status status = Check(entry, *name); !status.ok()) return status;
    if (disk_ == nullptr) return CopyData(*name);

    archive_entry_set_pathname(entry, absl::StrCat(root_, "/", *name).c_str());
    archive_entry_set_perm(entry, archive_entry_perm(entry) & 0777);
    if (archive_write_header(disk_.get(), entry) < ARCHIVE_WARN) {
      if (IsOfThisHost(archive_errno(disk_.get()))) return DiskFailed(*name);
      // The secure flags' refusals come as EPERM-like "Cannot extract through symlink".
      return Refuse(shown, ErrorOf(disk_.get()));
    }
    if (archive_entry_filetype(entry) == AE_IFREG && archive_entry_hardlink(entry) == nullptr) {
      if (absl::Status status = CopyData(*name); !status.ok()) return status;
    }
    return archive_write_finish_entry(disk_.get()) < ARCHIVE_WARN ? DiskFailed(*name)
                                                                  : absl::OkStatus();
  }

  absl::Status Check(archive_entry* entry, const std::string& name) {
    for (size_t slash = name.find('/'); slash != std::string::npos;
         slash = name.find('/', slash + 1)) {
      if (names_.count(name.substr(0, slash)) != 0)
        return Refuse(name, "it lies below an entry that is no directory");
    }
    const auto type = archive_entry_filetype(entry);
    if (const char* target = archive_entry_hardlink(entry); target != nullptr) {
      const std::optional<std::string> to = Normalized(target);
      const auto file = to ? names_.find(*to) : names_.end();
      if (file == names_.end() || !file->second) {
        return Refuse(name, absl::StrCat("the hard link leads to \"", target,
                                         "\", which is no earlier file of this archive"));
      }
      archive_entry_set_hardlink(entry, absl::StrCat(root_, "/", *to).c_str());
      return Remember(name, /*is_file=*/true);
    }
    if (type == AE_IFLNK) {
      const char* target = archive_entry_symlink(entry);
      if (target == nullptr || !LinkStaysInside(name, target)) {
        return Refuse(name, absl::StrCat(kLinkRule, target == nullptr ? "" : target, "\")"));
      }
      return Remember(name, /*is_file=*/false);
    }
    if (type == AE_IFDIR) return absl::OkStatus();
    if (type != AE_IFREG) return Refuse(name, "only files, directories and links are allowed");
    if ((archive_entry_perm(entry) & (S_ISUID | S_ISGID)) != 0) {
      return Refuse(name, "set-user-id and set-group-id files are not allowed");
    }
    // Refuse what says it is too large before a byte of it is written (a sparse file has a size
    // with few bytes); CopyData counts what really comes.
    if (archive_entry_size_is_set(entry) != 0) {
      const auto size_bytes = static_cast<uint64_t>(archive_entry_size(entry));
      if (size_bytes >
          limits_.max_content_bytes - std::min(declared_bytes_, limits_.max_content_bytes)) {
        return TooLarge(name);
      }
      declared_bytes_ += size_bytes;
    }
    return Remember(name, /*is_file=*/true);
  }

  absl::Status Remember(const std::string& name, bool is_file) {
    if (!names_.emplace(name, is_file).second) return Refuse(name, "the name comes twice");
    return absl::OkStatus();
  }

  absl::Status TooLarge(const std::string& name) {
    return Refuse(name, absl::StrCat("the content is over ", limits_.max_content_bytes, " bytes"));
  }

  absl::Status CopyData(const std::string& name) {
    for (;;) {
      const void* data = nullptr;
      size_t size = 0;
      la_int64_t offset = 0;
      const int code = archive_read_data_block(in_.get(), &data, &size, &offset);
      if (code == ARCHIVE_EOF) return absl::OkStatus();
      if (code < ARCHIVE_WARN) return Broken();
      if (cancelled_ && cancelled_()) return absl::CancelledError("the archive is not wanted");
      result_.content_bytes += size;
      if (result_.content_bytes > limits_.max_content_bytes) return TooLarge(name);
      if (result_.content_bytes > limits_.small_content_bytes &&
          result_.content_bytes / limits_.max_ratio > archive_bytes_) {
        return Refuse(name, absl::StrCat("the content is over ", limits_.max_ratio,
                                         " times the archive's size"));
      }
      if (disk_ != nullptr &&
          archive_write_data_block(disk_.get(), data, size, offset) < ARCHIVE_WARN)
        return DiskFailed(name);
    }
  }

  const std::string archive_path_;
  const std::string shown_name_;
  const ArchiveLimits limits_;
  std::function<bool()> cancelled_;
  std::string root_;
  Reader in_;
  Writer disk_;
  uint64_t archive_bytes_ = 0;
  uint64_t declared_bytes_ = 0;
  uint64_t names_bytes_ = 0;
  // Everything but directories, and whether a hard link may lead to it. What is held of all entries
  // at once: bounded by max_names_bytes.
  std::map<std::string, bool> names_;
  UnpackedArchive result_;
};

}  // namespace

absl::StatusOr<PackedArchive> PackDirectory(const std::string& directory,
                                            const std::string& archive_path,
                                            const PackOptions& options) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    return absl::InvalidArgumentError(absl::StrCat(directory, ": must be a directory"));
  }
  const Utf8Names utf8_names;
  absl::StatusOr<PackedArchive> result = Packer(directory, options).Run(archive_path);
  if (!result.ok()) unlink(archive_path.c_str());
  return result;
}

absl::StatusOr<UnpackedArchive> UnpackArchive(const std::string& archive_path,
                                              const std::string& directory,
                                              const ArchiveLimits& limits) {
  const Utf8Names utf8_names;
  return Unpacker(archive_path, archive_path, limits).Run(directory);
}

absl::StatusOr<UnpackedArchive> CheckArchive(const std::string& archive_path,
                                             const ArchiveLimits& limits,
                                             const std::function<bool()>& cancelled) {
  const Utf8Names utf8_names;
  return Unpacker(archive_path, "the archive", limits).Look(cancelled);
}

}  // namespace remuda
