#include "controller/backup/restore.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <vector>

#include "common/private_directory.h"
#include "common/status.h"
#include "controller/backup/archive_reader.h"
#include "controller/backup/give_to_owner.h"
#include "controller/backup/shared_images.h"
#include "controller/backup/state_copy.h"
#include "controller/store/sealer.h"
#include "controller/store/sealing_keys.h"
#include "controller/store/sqlite_store.h"
#include "controller/store/state_lock.h"

namespace remuda {
namespace {

namespace fs = std::filesystem;

constexpr char kStaging[] = ".restore";
constexpr char kState[] = "state.db";
constexpr const char* kLock = StateLock::kName;
// What of a data directory is the store's: what a restore takes the place of. The state first: a
// directory without it is refused at a start while the staging is there.
constexpr const char* kReplaced[] = {kState, "state.db-wal", "state.db-shm", "state.db-journal",
                                     "images"};
// What may be there without being somebody's state.
constexpr const char* kHarmless[] = {"sealing.key", kLock, kStaging, "lost+found"};

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

// Makes the directories of `relative` below `base`, for their owner alone: keys come into them.
absl::Status MakeDirectories(const std::string& base, const fs::path& relative) {
  std::string path = base;
  for (const fs::path& part : relative) {
    path += "/" + part.string();
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return Failed(path, "made");
  }
  return absl::OkStatus();
}

// The data directory while it is restored: nobody else's, with a place beside for what comes.
class Place {
 public:
  explicit Place(const RestoreOptions& options)
      : directory_(options.data_directory),
        has_state_(options.put_state == nullptr),
        has_images_(options.blobs_directory.empty()),
        force_(options.force) {}
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    // Another's stays as it is; and where the state is in neither place a start must be refused.
    std::error_code error;
    if (has_staging_ && !is_half_) fs::remove_all(staging(), error);
  }

  std::string staging() const { return absl::StrCat(directory_, "/", kStaging); }
  const std::string& replaced() const { return replaced_; }

  absl::Status Open() {
    const auto was_open = MakePrivateDirectory(directory_, kState, "--data-dir");
    if (!was_open.ok()) return was_open.status();
    if (absl::Status status = Lock(); !status.ok()) return status;
    if (absl::Status status = CheckEmpty(); !status.ok()) return status;
    std::error_code error;
    fs::remove_all(staging(), error);
    if (mkdir(staging().c_str(), 0700) != 0) return Failed(staging(), "made");
    has_staging_ = true;
    return MakeDirectories(staging(), "images/sha256");
  }

  // What was there goes aside, what came takes its place; state.db last. On error all is where it
  // was.
  absl::Status Exchange(const std::vector<std::string>& extras, int64_t now) {
    absl::Status status;
    for (const char* name : {kLock, "sealing.key", kStaging}) {
      if (status.ok()) status = GiveToOwner(absl::StrCat(directory_, "/", name));
    }
    if (status.ok()) status = PutAside(extras, now);
    if (status.ok()) status = PutInPlace(extras);
    return status.ok() ? status : PutBack(status);
  }

 private:
  struct Move {
    std::string from;
    std::string to;
  };

  absl::Status Lock() {
    auto lock = StateLock::Take(absl::StrCat(directory_, "/", kLock));
    if (lock.ok()) lock_.emplace(*std::move(lock));
    if (!absl::IsAlreadyExists(lock.status())) return lock.status();
    return FailedPrecondition(
        "STORE_IN_USE", absl::StrCat("--data-dir ", directory_,
                                     ": a controller runs in it, or another restore (process ",
                                     std::string(lock.status().message()), "); stop it first"));
  }

  absl::Status GiveToOwner(const std::string& top) const {
    return remuda::GiveToOwner(directory_, top);
  }

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

  absl::Status Rename(const std::string& from, const std::string& to, const std::string& what) {
    if (rename(from.c_str(), to.c_str()) != 0) return Failed(to, what);
    moves_.push_back({from, to});
    return absl::OkStatus();
  }

  // A directory that nobody has put anything in yet.
  absl::Status MakeAside(int64_t now) {
    for (int i = 1;; ++i) {
      replaced_ =
          absl::StrCat(directory_, "/before-restore-", now, i == 1 ? "" : absl::StrCat("-", i));
      if (mkdir(replaced_.c_str(), 0700) == 0) return absl::OkStatus();
      if (errno == EEXIST) continue;
      const absl::Status status = Failed(replaced_, "made");
      replaced_.clear();
      return status;
    }
  }

  absl::Status PutAside(const std::vector<std::string>& extras, int64_t now) {
    std::vector<std::string> names(std::begin(kReplaced), std::end(kReplaced));
    names.insert(names.end(), extras.begin(), extras.end());
    std::error_code error;
    for (const std::string& name : names) {
      const std::string path = absl::StrCat(directory_, "/", name);
      if (!fs::exists(path, error)) continue;
      absl::Status status = replaced_.empty() ? MakeAside(now) : absl::OkStatus();
      if (status.ok()) status = MakeDirectories(replaced_, fs::path(name).parent_path());
      if (status.ok()) status = Rename(path, absl::StrCat(replaced_, "/", name), "put aside");
      if (!status.ok()) return status;
    }
    if (replaced_.empty()) return absl::OkStatus();
    if (absl::Status status = GiveToOwner(replaced_); !status.ok()) return status;
    return Sync(replaced_);
  }

  absl::Status PutInPlace(const std::vector<std::string>& extras) {
    std::vector<std::string> names = extras;
    if (has_images_) names.emplace_back("images");
    for (const std::string& name : names) {
      const fs::path parent = fs::path(name).parent_path();
      absl::Status status = MakeDirectories(directory_, parent);
      if (status.ok() && !parent.empty())
        status = GiveToOwner(absl::StrCat(directory_, "/", parent.begin()->string()));
      if (status.ok()) status = Take(name);
      if (status.ok()) status = Sync(absl::StrCat(directory_, "/", parent.string()));
      if (!status.ok()) return status;
    }
    if (absl::Status status = Sync(directory_); !status.ok() || !has_state_) return status;
    if (absl::Status status = Take(kState); !status.ok()) return status;
    return Sync(directory_);
  }
  absl::Status Take(const std::string& name) {
    return Rename(absl::StrCat(staging(), "/", name), absl::StrCat(directory_, "/", name),
                  "put in place");
  }

  absl::Status PutBack(const absl::Status& why) {
    for (auto move = moves_.rbegin(); move != moves_.rend(); ++move) {
      if (rename(move->to.c_str(), move->from.c_str()) == 0) continue;
      is_half_ = true;
      return absl::Status(why.code(), absl::StrCat(std::string(why.message()), "; and ", move->to,
                                                   " cannot be put back: ", std::strerror(errno)));
    }
    std::error_code error;
    // Of what is empty now.
    for (const Move& move : moves_) fs::remove(fs::path(move.to).parent_path(), error);
    if (!replaced_.empty()) fs::remove(replaced_, error);
    replaced_.clear();
    return why;
  }

  const std::string directory_;
  const bool has_state_;   // the state comes into it
  const bool has_images_;  // images come into it
  const bool force_;
  std::optional<StateLock> lock_;
  bool has_staging_ = false;
  bool is_half_ = false;
  std::string replaced_;
  std::vector<Move> moves_;  // that were made, in their order
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
  if (absl::Status status = MakeDirectories(staging, fs::path(entry.name).parent_path());
      !status.ok())
    return status;
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

// Into another store, if there is one.
absl::Status PutState(const RestoreOptions& options, const std::string& staging,
                      const std::vector<std::string>& extras) {
  if (!options.put_state) return absl::OkStatus();
  std::map<std::string, std::string> files;
  for (const std::string& name : extras) {
    std::ifstream in(absl::StrCat(staging, "/", name), std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    if (!in) return Failed(absl::StrCat(staging, "/", name), "read");
    files[name] = text.str();
  }
  return options.put_state(absl::StrCat(staging, "/", kState), files);
}

absl::StatusOr<std::unique_ptr<SharedImages>> OpenSharedImages(const RestoreOptions& options,
                                                               const BackupManifest& manifest) {
  if (options.blobs_directory.empty() || !manifest.has_images) return nullptr;
  return SharedImages::Open(options.blobs_directory, manifest.cluster_id);
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
  const auto images = OpenSharedImages(options, *manifest);
  if (!images.ok()) return images.status();
  std::vector<std::string> extras;
  for (const BackupEntry& entry : manifest->entries) {
    const bool is_shared = *images != nullptr && entry.name.starts_with(BackupManifest::kImages);
    const absl::Status status = is_shared ? (*images)->Take(**reader, entry)
                                          : Unpack(**reader, entry, place.staging(), sealer);
    if (!status.ok()) return status;
    if (entry.is_sealed) extras.push_back(entry.name);
  }
  if (absl::Status status = (*reader)->ReadEnd(); !status.ok()) return status;
  if (*images != nullptr) {
    if (absl::Status status = (*images)->Finish(); !status.ok()) return status;
  }

  const std::string state = place.staging() + "/state.db";
  if (absl::Status status = CheckState(state, options, *manifest); !status.ok()) return status;
  const absl::Time now = absl::Now();
  if (absl::Status status = RaiseState(state, absl::ToUnixMicros(now)); !status.ok()) return status;
  if (absl::Status status = Sync(state); !status.ok()) return status;
  if (absl::Status status = Sync(place.staging() + "/images/sha256"); !status.ok()) return status;
  const auto raised = ReadStateFacts(state);
  if (!raised.ok()) return raised.status();
  // Before the rest is in place: what is wrong with the other store leaves the directory as it was.
  if (absl::Status status = PutState(options, place.staging(), extras); !status.ok()) return status;
  if (absl::Status status = place.Exchange(extras, absl::ToUnixSeconds(now)); !status.ok()) {
    if (!options.put_state) return status;
    return absl::Status(status.code(),
                        absl::StrCat(std::string(status.message()),
                                     "; the state is in the other store already: empty that before "
                                     "you restore again"));
  }
  return Restored{
      .manifest = *std::move(manifest), .epoch = raised->epoch, .replaced = place.replaced()};
}

absl::Status CheckNotHalfRestored(const std::string& data_directory) {
  std::error_code error;
  const std::string staging = absl::StrCat(data_directory, "/", kStaging);
  if (!fs::exists(staging, error) || fs::exists(absl::StrCat(data_directory, "/", kState), error))
    return absl::OkStatus();
  return FailedPrecondition(
      "HALF_RESTORED",
      absl::StrCat("--data-dir ", data_directory,
                   ": a restore is under way in it, or was cut off (", kStaging,
                   " is there, and no state.db): restore again, with --force; what was there "
                   "before is in before-restore-TIME. To begin an empty cluster remove ",
                   staging));
}

}  // namespace remuda
