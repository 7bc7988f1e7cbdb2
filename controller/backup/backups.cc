#include "controller/backup/backups.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <future>

#include "common/ids.h"
#include "common/sha256.h"
#include "common/status.h"
#include "controller/backup/state_copy.h"
#include "controller/backup/tar.h"
#include "controller/store/sealer.h"
#include "controller/store/sealing_keys.h"

namespace remuda {
namespace {

namespace fs = std::filesystem;

// A key, a certificate: read whole.
constexpr size_t kMaxSealedFileBytes = 1 << 20;
constexpr size_t kReadBytes = 64 * 1024;

absl::StatusOr<int64_t> SizeOfFile(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error) return Unavailable(absl::StrCat(path, ": cannot be read: ", error.message()));
  return static_cast<int64_t>(size);
}

class OpenFile {
 public:
  explicit OpenFile(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  const int fd_;
};

// A whole file; an error where it cannot be read to its end: half a key is none.
absl::StatusOr<std::string> ReadSealedFile(const std::string& path) {
  const OpenFile file(path);
  if (file.fd() < 0)
    return Unavailable(absl::StrCat(path, ": cannot be read: ", std::strerror(errno)));
  std::string text;
  std::string buffer(kReadBytes, '\0');
  while (true) {
    const ssize_t count = read(file.fd(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      return Unavailable(absl::StrCat(path, ": cannot be read: ", std::strerror(errno)));
    if (count == 0) return text;
    text.append(buffer, 0, static_cast<size_t>(count));
    if (text.size() > kMaxSealedFileBytes) return Internal(absl::StrCat(path, ": is too large"));
  }
}

// The keys with the one first that the store is sealed under: another may have been put before it
// since the controller began. What the manifest names opens all of the archive then.
absl::StatusOr<SealingKeys> KeysOfStore(const std::string& file, const std::string& sealed_under) {
  absl::StatusOr<SealingKeys> keys = ReadSealingKeys(file);
  if (!keys.ok()) return keys;
  const auto used = std::find_if(keys->keys.begin(), keys->keys.end(), [&](const std::string& key) {
    return SealingKeyId(key) == sealed_under;
  });
  if (used == keys->keys.end()) {
    return FailedPrecondition(
        "SEALING_KEY",
        absl::StrCat("the store is sealed under key ", sealed_under, ", which is not in ", file,
                     " any more: put it back, or "
                     "restart the controller, which seals the store anew"));
  }
  std::rotate(keys->keys.begin(), used, used + 1);
  return keys;
}

absl::Status CheckSizes(const BackupManifest& manifest, size_t text_bytes) {
  for (const BackupEntry& entry : manifest.entries) {
    if (entry.size_bytes > BackupManifest::kMaxEntryBytes)
      return Internal(absl::StrCat(entry.name, ": is too large for an archive"));
  }
  // A restore would refuse it.
  if (manifest.entries.size() > BackupManifest::kMaxEntries ||
      text_bytes > static_cast<size_t>(BackupManifest::kMaxBytes)) {
    return LimitExceeded(
        "kMaxEntries",
        absl::StrCat("there are ", manifest.entries.size(), " files to back up, at most ",
                     BackupManifest::kMaxEntries, "; back up without images"));
  }
  return absl::OkStatus();
}

}  // namespace

// Where an entry's bytes are: a file, or here.
struct Backups::Source {
  std::string path;
  std::string bytes;

  absl::Status WriteTo(const Sink& sink, const BackupEntry& entry) const {
    if (path.empty()) return sink.write(bytes);
    const OpenFile file(path);
    if (file.fd() < 0)
      return Unavailable(absl::StrCat(path, ": cannot be read: ", std::strerror(errno)));
    std::string buffer(kChunkBytes, '\0');
    Sha256 digest;
    int64_t left = entry.size_bytes;
    while (left > 0) {
      const size_t most = std::min(buffer.size(), static_cast<size_t>(left));
      const ssize_t count = read(file.fd(), buffer.data(), most);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return absl::DataLossError(absl::StrCat(path, ": is shorter than it was"));
      const std::string_view bytes_read(buffer.data(), static_cast<size_t>(count));
      digest.Update(bytes_read);
      if (absl::Status status = sink.write(bytes_read); !status.ok()) return status;
      left -= count;
    }
    if (digest.HexDigest() == entry.sha256) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrCat(path, ": its bytes are not those of its digest; the disk has lost some"));
  }
};

Backups::Backups(Options options, Blobs& blobs, TaskThread& blob_thread)
    : options_(std::move(options)), blobs_(blobs), blob_thread_(blob_thread) {
  std::error_code error;
  fs::remove_all(options_.data_directory + "/backup", error);
}

void Backups::HoldBlobs(bool held) {
  std::promise<void> done;
  blob_thread_.Post([this, held, &done] {
    blobs_.Hold(held);
    done.set_value();
  });
  done.get_future().wait();
}

absl::StatusOr<std::vector<Blobs::Blob>> Backups::ListBlobs() {
  std::promise<absl::StatusOr<std::vector<Blobs::Blob>>> listed;
  blob_thread_.Post([this, &listed] { listed.set_value(blobs_.List()); });
  return listed.get_future().get();
}

absl::StatusOr<Backups::Texts> Backups::TakeState(const std::string& to) const {
  if (options_.write_state) return options_.write_state(to);
  if (absl::Status status = CopyState(options_.state_file, to); !status.ok()) return status;
  Texts out;
  for (const std::string& name : options_.sealed_files) {
    const std::string path = absl::StrCat(options_.data_directory, "/", name);
    if (access(path.c_str(), F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) continue;
    auto text = ReadSealedFile(path);
    if (!text.ok()) return text.status();
    out[name] = *std::move(text);
  }
  return out;
}

absl::Status Backups::AddSealed(const Texts& files, BackupManifest& manifest,
                                std::vector<Source>& sources) const {
  const absl::StatusOr<SealingKeys> keys =
      KeysOfStore(options_.sealing_key_file, manifest.sealing_key);
  if (!keys.ok()) return keys.status();
  Sealer sealer(*keys);
  for (const auto& [name, text] : files) {
    Source source;
    source.bytes = sealer.Seal(absl::StrCat("file ", name), text);
    manifest.entries.push_back({.name = name,
                                .size_bytes = static_cast<int64_t>(source.bytes.size()),
                                .sha256 = Sha256Hex(source.bytes),
                                .is_sealed = true});
    sources.push_back(std::move(source));
  }
  return absl::OkStatus();
}

absl::Status Backups::WriteCopy(const std::string& copy, const Texts& files, bool with_images,
                                const Sink& sink) {
  const auto facts = ReadStateFacts(copy);
  // The store's own damage: nothing that whoever asks has got wrong.
  if (!facts.ok()) return absl::DataLossError(facts.status().message());
  const auto size = SizeOfFile(copy);
  const auto digest = Sha256OfFile(copy);
  if (!size.ok() || !digest.ok()) return size.ok() ? digest.status() : size.status();
  BackupManifest manifest{
      .cluster_id = facts->cluster_id,
      .epoch = facts->epoch,
      .commit = facts->commit,
      .schema = facts->schema,
      .sealing_key = facts->sealed_under,
      .has_images = with_images,
      .entries = {{.name = BackupManifest::kState, .size_bytes = *size, .sha256 = *digest}}};
  std::vector<Source> sources = {{.path = copy, .bytes = {}}};
  if (absl::Status status = AddSealed(files, manifest, sources); !status.ok()) return status;
  if (with_images) {
    const auto blobs = ListBlobs();
    if (!blobs.ok()) return blobs.status();
    for (const Blobs::Blob& blob : *blobs) {
      const std::string hex = blob.digest.substr(kDigestPrefix.size());
      const std::string name = BackupManifest::kImages + hex;
      manifest.entries.push_back({.name = name, .size_bytes = blob.size_bytes, .sha256 = hex});
      sources.push_back({.path = blobs_.PathOf(blob.digest), .bytes = {}});
    }
  }
  const std::string text = Print(manifest);
  if (absl::Status status = CheckSizes(manifest, text.size()); !status.ok()) return status;
  int64_t total =
      tar::SizeOf(static_cast<int64_t>(text.size())) + static_cast<int64_t>(tar::End().size());
  for (const BackupEntry& entry : manifest.entries) total += tar::SizeOf(entry.size_bytes);
  const int64_t now = absl::ToUnixSeconds(absl::Now());
  absl::Status status = sink.begin(manifest, total);
  const auto write = [&](const std::string& bytes) {
    if (status.ok() && !bytes.empty()) status = sink.write(bytes);
  };
  const auto text_bytes = static_cast<int64_t>(text.size());
  write(tar::Header(BackupManifest::kName, text_bytes, now));
  write(text);
  write(tar::Padding(text_bytes));
  for (size_t i = 0; i < sources.size() && status.ok(); ++i) {
    const BackupEntry& entry = manifest.entries[i];
    write(tar::Header(entry.name, entry.size_bytes, now));
    if (status.ok()) status = sources[i].WriteTo(sink, entry);
    write(tar::Padding(entry.size_bytes));
  }
  write(tar::End());
  return status;
}

absl::Status Backups::Write(bool with_images, const Sink& sink) {
  const std::string directory = options_.data_directory + "/backup";
  std::error_code error;
  fs::remove_all(directory, error);
  if (mkdir(directory.c_str(), 0700) != 0)
    return Unavailable(absl::StrCat(directory, ": cannot be made: ", std::strerror(errno)));
  // From before the copy on: what it names must not go until it is written.
  if (with_images) HoldBlobs(true);
  const std::string copy = directory + "/state.db";
  const auto files = TakeState(copy);
  const absl::Status status =
      files.ok() ? WriteCopy(copy, *files, with_images, sink) : files.status();
  if (with_images) HoldBlobs(false);
  fs::remove_all(directory, error);
  return status;
}

}  // namespace remuda
