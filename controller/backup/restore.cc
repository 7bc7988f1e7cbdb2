#include "controller/backup/restore.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "common/private_directory.h"
#include "common/status.h"
#include "controller/backup/archive_reader.h"
#include "controller/backup/state_copy.h"
#include "controller/store/sealer.h"
#include "controller/store/sealing_keys.h"
#include "controller/store/sqlite_store.h"

namespace remuda {
namespace {

namespace fs = std::filesystem;

constexpr char kStaging[] = ".restore";
// What of a data directory is the store's: what a restore takes the place of.
constexpr const char* kReplaced[] = {"state.db", "state.db-wal", "state.db-shm", "images"};
// What may be there without being somebody's state.
constexpr const char* kHarmless[] = {"sealing.key", "state.db.lock", kStaging, "lost+found"};

absl::Status Failed(const std::string& path, const std::string& what) {
  return Unavailable(absl::StrCat(path, ": cannot be ", what, ": ", std::strerror(errno)));
}

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  const int fd_;
};

absl::Status Sync(const std::string& path) {
  const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file.fd() >= 0 && fsync(file.fd()) == 0 ? absl::OkStatus() : Failed(path, "synced");
}

absl::Status WriteFile(int fd, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Failed(path, "written");
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

// The data directory while it is restored: nobody else's, with a place beside for what comes.
class Place {
 public:
  explicit Place(const RestoreOptions& options)
      : directory_(options.data_directory), force_(options.force) {}
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    std::error_code error;
    fs::remove_all(staging(), error);
    if (lock_ >= 0) close(lock_);
  }

  std::string staging() const { return absl::StrCat(directory_, "/", kStaging); }
  const std::string& replaced() const { return replaced_; }

  absl::Status Open() {
    const auto was_open = MakePrivateDirectory(directory_, "state.db", "--data-dir");
    if (!was_open.ok()) return was_open.status();
    const std::string lock_path = directory_ + "/state.db.lock";
    lock_ = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_ < 0) return Failed(lock_path, "opened");
    if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
      return FailedPrecondition(
          "STORE_IN_USE",
          absl::StrCat("--data-dir ", directory_, ": a controller runs in it; stop it first"));
    }
    if (absl::Status status = CheckEmpty(); !status.ok()) return status;
    std::error_code error;
    fs::remove_all(staging(), error);
    if (mkdir(staging().c_str(), 0700) != 0) return Failed(staging(), "made");
    fs::create_directories(staging() + "/images/sha256", error);
    if (error) return Unavailable(absl::StrCat(staging(), ": ", error.message()));
    return absl::OkStatus();
  }

  // What was there goes aside, what came takes its place; state.db last.
  absl::Status Exchange(const std::vector<std::string>& extras, int64_t now) {
    if (absl::Status status = PutAside(extras, now); !status.ok()) return status;
    std::vector<std::string> names = extras;
    names.emplace_back("images");
    names.emplace_back("state.db");
    for (const std::string& name : names) {
      const std::string to = absl::StrCat(directory_, "/", name);
      std::error_code error;
      fs::create_directories(fs::path(to).parent_path(), error);
      if (name == "state.db") {
        if (absl::Status status = Sync(directory_); !status.ok()) return status;
      }
      if (rename(absl::StrCat(staging(), "/", name).c_str(), to.c_str()) != 0)
        return Failed(to, "put in place");
    }
    return Sync(directory_);
  }

 private:
  absl::Status CheckEmpty() const {
    if (force_) return absl::OkStatus();
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(directory_, error)) {
      const std::string name = entry.path().filename().string();
      const bool is_harmless =
          std::find(std::begin(kHarmless), std::end(kHarmless), name) != std::end(kHarmless);
      if (is_harmless) continue;
      return FailedPrecondition(
          "NOT_EMPTY",
          absl::StrCat("--data-dir ", directory_, " is not empty (", name,
                       " is in it); name another directory, or give --force to put what is there "
                       "aside"));
    }
    return absl::OkStatus();
  }

  absl::Status PutAside(const std::vector<std::string>& extras, int64_t now) {
    std::vector<std::string> names(std::begin(kReplaced), std::end(kReplaced));
    names.insert(names.end(), extras.begin(), extras.end());
    const std::string aside = absl::StrCat(directory_, "/before-restore-", now);
    std::error_code error;
    for (const std::string& name : names) {
      const std::string path = absl::StrCat(directory_, "/", name);
      if (!fs::exists(path, error)) continue;
      const std::string to = absl::StrCat(aside, "/", name);
      fs::create_directories(fs::path(to).parent_path(), error);
      chmod(aside.c_str(), 0700);
      if (rename(path.c_str(), to.c_str()) != 0) return Failed(path, "put aside");
      replaced_ = aside;
    }
    return absl::OkStatus();
  }

  const std::string directory_;
  const bool force_;
  int lock_ = -1;
  std::string replaced_;
};

absl::Status CheckKey(const RestoreOptions& options, const BackupManifest& manifest,
                      const absl::StatusOr<SealingKeys>& keys) {
  const std::string needs = absl::StrCat("the backup is sealed under key ", manifest.sealing_key);
  if (absl::IsNotFound(keys.status())) {
    return FailedPrecondition(
        "SEALING_KEY", absl::StrCat(needs, ", and there is no ", options.sealing_key_file,
                                    ": put the file there, or name it with --sealing-key-file"));
  }
  if (!keys.ok()) return keys.status();
  for (const std::string& key : keys->keys) {
    if (SealingKeyId(key) == manifest.sealing_key) return absl::OkStatus();
  }
  return FailedPrecondition("SEALING_KEY",
                            absl::StrCat(needs, ", which is not in ", options.sealing_key_file));
}

absl::Status CheckManifest(const std::string& from, const BackupManifest& manifest) {
  if (manifest.schema <= SqliteStore::kSchemaVersion) return absl::OkStatus();
  return FailedPrecondition(
      "SCHEMA_TOO_NEW", absl::StrCat(from, " has schema ", manifest.schema,
                                     ", this controller knows up to ", SqliteStore::kSchemaVersion,
                                     ": use the remuda-controller that wrote it, or a newer one"));
}

// A sealed file is small, and opened before it is written.
absl::Status OpenSealed(const BackupEntry& entry, const std::string& path, std::string sealed,
                        Sealer& sealer) {
  auto plain = sealer.Open(absl::StrCat("file ", entry.name), sealed);
  if (!plain.ok()) return plain.status();
  const File file(open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (file.fd() < 0) return Failed(path, "written");
  if (absl::Status status = WriteFile(file.fd(), path, *plain); !status.ok()) return status;
  return fsync(file.fd()) == 0 ? absl::OkStatus() : Failed(path, "synced");
}

constexpr int64_t kMaxSealedBytes = 2 << 20;

absl::Status Unpack(ArchiveReader& reader, const BackupEntry& entry, const std::string& staging,
                    Sealer& sealer) {
  const std::string path = absl::StrCat(staging, "/", entry.name);
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  const File file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.fd() < 0) return Failed(path, "made");
  if (entry.is_sealed && entry.size_bytes > kMaxSealedBytes)
    return absl::InvalidArgumentError(absl::StrCat(entry.name, ": is too large for what it is"));
  std::string sealed;
  const auto write = [&](std::string_view bytes) {
    if (!entry.is_sealed) return WriteFile(file.fd(), path, bytes);
    sealed.append(bytes);
    return absl::OkStatus();
  };
  if (absl::Status status = reader.ReadEntry(entry, write); !status.ok()) return status;
  if (entry.is_sealed) return OpenSealed(entry, path, std::move(sealed), sealer);
  return fsync(file.fd()) == 0 ? absl::OkStatus() : Failed(path, "synced");
}

absl::Status CheckState(const std::string& path, const RestoreOptions& options,
                        const BackupManifest& manifest) {
  const auto facts = ReadStateFacts(path);
  if (!facts.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.from, ": ", std::string(facts.status().message())));
  }
  const bool is_same = facts->cluster_id == manifest.cluster_id && facts->epoch == manifest.epoch &&
                       facts->commit == manifest.commit && facts->schema == manifest.schema &&
                       facts->sealed_under == manifest.sealing_key;
  if (is_same) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(options.from, ": its state.db is not the one that its manifest tells of"));
}

}  // namespace

absl::StatusOr<Restored> Restore(const RestoreOptions& options) {
  auto reader = ArchiveReader::Open(options.from);
  if (!reader.ok()) return reader.status();
  auto manifest = (*reader)->ReadManifest();
  if (!manifest.ok()) return manifest.status();
  if (absl::Status status = CheckManifest(options.from, *manifest); !status.ok()) return status;
  const absl::StatusOr<SealingKeys> keys = ReadSealingKeys(options.sealing_key_file);
  if (absl::Status status = CheckKey(options, *manifest, keys); !status.ok()) return status;
  Sealer sealer(*keys);

  Place place(options);
  if (absl::Status status = place.Open(); !status.ok()) return status;
  std::vector<std::string> extras;
  for (const BackupEntry& entry : manifest->entries) {
    if (absl::Status status = Unpack(**reader, entry, place.staging(), sealer); !status.ok())
      return status;
    if (entry.is_sealed) extras.push_back(entry.name);
  }
  if (absl::Status status = (*reader)->ReadEnd(); !status.ok()) return status;

  const std::string state = place.staging() + "/state.db";
  if (absl::Status status = CheckState(state, options, *manifest); !status.ok()) return status;
  const int64_t now = absl::ToUnixSeconds(absl::Now());
  if (absl::Status status = RaiseState(state, now); !status.ok()) return status;
  if (absl::Status status = Sync(state); !status.ok()) return status;
  if (absl::Status status = Sync(place.staging() + "/images/sha256"); !status.ok()) return status;
  const auto raised = ReadStateFacts(state);
  if (!raised.ok()) return raised.status();
  if (absl::Status status = place.Exchange(extras, now); !status.ok()) return status;
  return Restored{
      .manifest = *std::move(manifest), .epoch = raised->epoch, .replaced = place.replaced()};
}

}  // namespace remuda
