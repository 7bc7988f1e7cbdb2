#include "agent/identity.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cstdio>

#include "agent/record_file.h"

namespace remuda::agent {
namespace {

constexpr char kClusterId[] = "cluster_id";
constexpr char kEpoch[] = "epoch";
constexpr char kMachineId[] = "machine_id";
constexpr char kHost[] = "host";
constexpr char kBootId[] = "boot_id";
constexpr char kDirectory[] = "directory";
constexpr char kLock[] = "lock";

}  // namespace

bool HasStableInodes(uint32_t file_system) {
  switch (file_system) {
    case FUSE_SUPER_MAGIC:
    case MSDOS_SUPER_MAGIC:
    case EXFAT_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
      return false;
    default:
      return true;
  }
}

Place PlaceOf(const std::string& directory, const Fd& lock) {
  Place place{.boot_id = BootId()};
  struct statfs disk {};
  if (statfs(directory.c_str(), &disk) != 0 || !HasStableInodes(static_cast<uint32_t>(disk.f_type)))
    return place;
  struct stat st {};
  if (stat(directory.c_str(), &st) == 0) place.directory = static_cast<int64_t>(st.st_ino);
  if (fstat(lock.get(), &st) == 0) place.lock = static_cast<int64_t>(st.st_ino);
  return place;
}

bool IsCopy(const Place& written, const Place& here) {
  return written.directory != 0 && here.directory != 0 && written.boot_id == here.boot_id &&
         written.directory != here.directory && written.lock != here.lock;
}

std::string MachinePath(const std::string& data_directory) { return data_directory + "/machine"; }

void MoveOldRecord(const std::string& data_directory) {
  const std::string old = data_directory + "/identity";
  struct stat info {};
  if (lstat(old.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return;
  // What cannot be moved is found by whoever needs the place.
  (void)std::rename(old.c_str(), MachinePath(data_directory).c_str());
}

Identity ReadIdentity(const std::string& path) {
  const auto record = Record::ReadFrom(path);
  if (!record) return {};
  return {.machine_id = record->Text(kMachineId),
          .cluster_id = record->Text(kClusterId),
          .epoch = record->Number(kEpoch),
          .host = record->Text(kHost),
          .place = {.boot_id = record->Text(kBootId),
                    .directory = record->Number(kDirectory),
                    .lock = record->Number(kLock)}};
}

int WriteIdentity(const std::string& path, const Identity& identity) {
  Record record;
  record.Add(kMachineId, identity.machine_id);
  record.Add(kClusterId, identity.cluster_id);
  record.Add(kEpoch, identity.epoch);
  record.Add(kHost, identity.host);
  record.Add(kBootId, identity.place.boot_id);
  record.Add(kDirectory, identity.place.directory);
  record.Add(kLock, identity.place.lock);
  return WriteFileAtomically(path, record.Encode(), /*sync=*/true);
}

}  // namespace remuda::agent
