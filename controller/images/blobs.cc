#include "controller/images/blobs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/ids.h"
#include "common/status.h"

namespace remuda {
namespace {

namespace fs = std::filesystem;

absl::Status FileError(std::string_view path, std::string_view what, int error) {
  const std::string text =
      std::string(path) + ": cannot " + std::string(what) + ": " + std::strerror(error);
  return error == ENOSPC || error == EDQUOT || error == EFBIG ? LimitExceeded("disk", text)
                                                              : Unavailable(text);
}

absl::Status SyncDirectory(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError(path, "open", errno);
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  return result == 0 ? absl::OkStatus() : FileError(path, "sync", error);
}

// Removed since: as young as can be.
bool IsOlder(const fs::directory_entry& entry, std::chrono::seconds age,
             Blobs::FileClock::time_point now) {
  std::error_code error;
  const auto changed = entry.last_write_time(error);
  return !error && changed < now - age;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Blobs>> Blobs::Open(Options options,
                                                   std::atomic<int64_t>& total_bytes) {
  std::error_code error;
  if (options.shared_as.starts_with('.') || options.shared_as.find('/') != std::string::npos) {
    return InvalidField("shared_as", "\"" + options.shared_as + "\" is no directory's name");
  }
  std::unique_ptr<Blobs> blobs(new Blobs(std::move(options), total_bytes));
  // What an upload under way left when the controller ended.
  fs::remove_all(blobs->UploadDirectory(), error);
  for (const std::string& path :
       {blobs->UploadDirectory(), blobs->options_.directory + "/sha256"}) {
    fs::create_directories(path, error);
    if (error) return FileError(path, "make", error.value());
  }
  int64_t total = 0;
  const auto listed = blobs->List();
  if (!listed.ok()) return listed.status();
  for (const Blob& blob : *listed) total += blob.size_bytes;
  total_bytes = total;
  return blobs;
}

std::string Blobs::UploadDirectory() const {
  const std::string all = options_.directory + "/tmp";
  return options_.shared_as.empty() ? all : all + "/" + options_.shared_as;
}

std::string Blobs::PathOf(std::string_view digest) const {
  return options_.directory + "/sha256/" + std::string(digest.substr(kDigestPrefix.size()));
}

bool Blobs::Has(std::string_view digest) const { return access(PathOf(digest).c_str(), F_OK) == 0; }

bool Blobs::Renew(std::string_view digest) const {
  return utimensat(AT_FDCWD, PathOf(digest).c_str(), nullptr, 0) == 0;
}

void Blobs::Discard(std::string_view digest, const Reader& reader) {
  const std::string path = PathOf(digest);
  struct stat read {};
  struct stat here {};
  if (fstat(reader.fd_, &read) != 0 || stat(path.c_str(), &here) != 0) return;
  if (read.st_dev != here.st_dev || read.st_ino != here.st_ino) return;
  if (unlink(path.c_str()) == 0) total_bytes_ -= here.st_size;
}

absl::Status Blobs::CheckSize(int64_t size_bytes) const {
  if (size_bytes <= options_.max_blob_bytes) return absl::OkStatus();
  return LimitExceeded("image-limit", "an image of " + std::to_string(size_bytes) +
                                          " bytes or more is over the limit of " +
                                          std::to_string(options_.max_blob_bytes) +
                                          " (--image-limit)");
}

absl::StatusOr<std::unique_ptr<Blobs::Upload>> Blobs::Begin() {
  std::unique_ptr<Upload> upload(new Upload(options_));
  upload->path_ = UploadDirectory() + "/" + std::to_string(++next_upload_);
  upload->fd_ = open(upload->path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (upload->fd_ < 0) return FileError(upload->path_, "make", errno);
  return upload;
}

Blobs::Upload::~Upload() {
  if (fd_ >= 0) close(fd_);
  if (!path_.empty()) unlink(path_.c_str());
}

absl::Status Blobs::Upload::Append(std::string_view bytes) {
  if (bytes.size() > static_cast<size_t>(options_.max_blob_bytes - size_bytes_)) {
    return LimitExceeded("image-limit", "the image is larger than the limit of " +
                                            std::to_string(options_.max_blob_bytes) +
                                            " bytes (--image-limit)");
  }
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError(path_, "write", errno);
    // Only what has reached the file counts: whoever goes on after an error goes on behind it.
    const auto part = static_cast<size_t>(written);
    hash_.Update(bytes.data(), part);
    size_bytes_ += static_cast<int64_t>(part);
    bytes.remove_prefix(part);
  }
  return absl::OkStatus();
}

absl::Status Blobs::Seal(Upload& upload, std::string_view digest, int64_t size_bytes) {
  upload.hex_ = upload.hash_.HexDigest();
  if (upload.size_bytes_ == 0) return InvalidField("chunk", "the image has no bytes");
  if (size_bytes != 0 && size_bytes != upload.size_bytes_) {
    return InvalidField("header.size_bytes", std::to_string(size_bytes) + " was promised, " +
                                                 std::to_string(upload.size_bytes_) +
                                                 " bytes came");
  }
  const std::string came = std::string(kDigestPrefix) + upload.hex_;
  if (!digest.empty() && digest != came) {
    return InvalidField("header.digest",
                        std::string(digest) + " was promised, the bytes have " + came);
  }
  return absl::OkStatus();
}

absl::StatusOr<Blobs::Blob> Blobs::Finish(Upload& upload) {
  const Blob blob{std::string(kDigestPrefix) + upload.hex_, upload.size_bytes_};
  if (fdatasync(upload.fd_) != 0) return FileError(upload.path_, "sync", errno);
  const std::string path = PathOf(blob.digest);
  const bool is_new = access(path.c_str(), F_OK) != 0;
  if (rename(upload.path_.c_str(), path.c_str()) != 0)
    return FileError(upload.path_, "rename", errno);
  upload.path_.clear();
  if (absl::Status status = SyncDirectory(options_.directory + "/sha256"); !status.ok())
    return status;
  if (is_new) total_bytes_ += blob.size_bytes;
  ++claims_[blob.digest];
  return blob;
}

void Blobs::Release(const std::string& digest) {
  const auto it = claims_.find(digest);
  if (it != claims_.end() && --it->second == 0) claims_.erase(it);
}

absl::StatusOr<std::vector<Blobs::Blob>> Blobs::List() const {
  std::vector<Blob> out;
  std::error_code error;
  const std::string directory = options_.directory + "/sha256";
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string digest = std::string(kDigestPrefix) + it->path().filename().string();
    if (!IsDigest(digest)) continue;
    std::error_code gone;  // another controller may remove it meanwhile
    const auto size = static_cast<int64_t>(it->file_size(gone));
    if (!gone) out.push_back({digest, size});
  }
  if (error) return FileError(directory, "read", error.value());
  std::sort(out.begin(), out.end(),
            [](const Blob& a, const Blob& b) { return a.digest < b.digest; });
  return out;
}

void Blobs::Collect(const std::set<std::string>& referenced, std::chrono::seconds grace,
                    FileClock::time_point now) {
  if (held_) return;
  const bool is_shared = !options_.shared_as.empty();
  if (is_shared) grace = std::max<std::chrono::seconds>(grace, kCollectGrace);
  std::error_code error;
  int64_t total = 0;
  for (fs::directory_iterator it(options_.directory + "/sha256", error), end; !error && it != end;
       it.increment(error)) {
    const fs::directory_entry& entry = *it;
    const std::string digest = std::string(kDigestPrefix) + entry.path().filename().string();
    std::error_code gone;
    const auto size = static_cast<int64_t>(entry.file_size(gone));
    const bool stays = referenced.contains(digest) || claims_.contains(digest) ||
                       (grace.count() > 0 && !IsOlder(entry, grace, now));
    if (gone || (!stays && fs::remove(entry.path(), gone))) continue;
    total += size;
  }
  total_bytes_ = total;
  if (is_shared) CollectUploads();
}

void Blobs::CollectUploads() const {
  std::error_code error;
  // Others make and remove files here meanwhile.
  for (fs::recursive_directory_iterator it(options_.directory + "/tmp", error), end;
       !error && it != end; it.increment(error)) {
    std::error_code gone;
    if (it->is_regular_file(gone) && IsOlder(*it, kUploadGrace, FileClock::now()))
      fs::remove(it->path(), gone);
  }
}

absl::StatusOr<std::unique_ptr<Blobs::Reader>> Blobs::Read(std::string_view digest) const {
  if (!IsDigest(digest)) {
    return InvalidField("digest", "\"" + std::string(digest.substr(0, 128)) +
                                      "\" is not sha256: and 64 lower-case hex digits");
  }
  const std::string path = PathOf(digest);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? NotFound(digest) : FileError(path, "open", errno);
  std::unique_ptr<Reader> reader(new Reader(fd));
  struct stat info {};
  if (fstat(fd, &info) != 0) return FileError(path, "read", errno);
  reader->size_bytes_ = info.st_size;
  return reader;
}

Blobs::Reader::~Reader() { close(fd_); }

absl::StatusOr<std::string> Blobs::Reader::Read(int64_t offset, size_t limit) const {
  std::string out(limit, '\0');
  while (true) {
    const ssize_t got = pread(fd_, out.data(), limit, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return Unavailable("the image's bytes cannot be read: " + std::string(std::strerror(errno)));
    out.resize(static_cast<size_t>(got));
    return out;
  }
}

}  // namespace remuda
