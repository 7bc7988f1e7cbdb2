// Images on this host's disk: fetched by digest, resumed after a break, verified, unpacked beside
// and renamed into place.
//
// Blocks; called on worker threads, at the same time for different images only. A directory in the
// cache is never changed.
#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "agent/process.h"
#include "common/archive.h"

namespace remuda::agent {

// Where images come from.
class ImageSource {
 public:
  virtual ~ImageSource() = default;

  using Sink = std::function<absl::Status(std::string_view chunk)>;
  // Gives the archive's bytes from `offset` on to `sink`, in order, and returns when they are all
  // given. An error of the sink ends it and is returned. NotFound: there is no such image.
  // Unavailable: may work later. Any worker thread.
  virtual absl::Status Fetch(const std::string& digest, uint64_t offset, const Sink& sink) = 0;
};

// What the file system that holds a directory can still take.
struct DiskRoom {
  uint64_t bytes = 0;
  uint64_t files = 0;
  uint64_t block_bytes = 0;  // each file takes whole ones
};
absl::StatusOr<DiskRoom> RoomOf(const std::string& directory);

class ImageCache {
 public:
  struct Options {
    std::string directory;  // made if it is not there
    uint64_t max_archive_bytes = uint64_t{2} << 30;
    ArchiveLimits limits = {};
    // Archives are read by `unpacker unpack` (unpack_child.h); empty: by this process.
    std::string unpacker = {};
    std::function<absl::StatusOr<DiskRoom>(const std::string& directory)> room_of = RoomOf;
  };
  // No image is fetched or unpacked into the last of the disk's room: what runs has logs and
  // records to write.
  static constexpr uint64_t kKeepFreeBytes = uint64_t{64} << 20;
  // Unused images kept for the next start of a group, the most recently used ones.
  static constexpr size_t kKeepUnused = 5;
  // Downloads that nobody goes on with are kept for so long: the next launch here may.
  static constexpr std::chrono::hours kKeepPart{1};
  // Digests that are remembered as refused, or as checked.
  static constexpr size_t kMaxRemembered = 1000;

  ImageCache(Options options, ImageSource& source);

  // Gives up what is being unpacked, now and later: Ensure returns CANCELLED. Any thread.
  void Cancel();

  // Removes what an interrupted run, or a loss of power, left half done. Once, first.
  absl::Status Open();
  // The directory with the files of `digest` ("sha256:…"), fetched if need be. InvalidArgument:
  // these bytes will never do (wrong digest; refused archive, which is remembered, since the same
  // digest means the same bytes); NotFound: no such image; others may work later.
  // ResourceExhausted is one of them: the disk has no room for its files. All of an archive is read
  // and judged before the first file is written.
  absl::StatusOr<std::string> Ensure(const std::string& digest);
  // The directory with the files of `digest`, if they are here; else empty. Any thread.
  std::string Find(const std::string& digest) const;
  // How much of it has come, while it is not whole.
  uint64_t BytesOfPart(const std::string& digest) const;
  // Brings new images to the disk for good. May take long where much is being written, so it is not
  // part of Ensure: an app need not wait for it.
  void MakeDurable();
  // Deletes images that are not in `used`, but for the newest kKeepUnused, and downloads of such
  // that are older than kKeepPart.
  void Prune(const std::set<std::string>& used_digests);

 private:
  std::string PathOf(const std::string& hex) const { return options_.directory + "/" + hex; }
  absl::StatusOr<std::string> Fetch(const std::string& digest, const std::string& hex);
  absl::Status Download(const std::string& digest, const std::string& hex);
  absl::Status Unpack(const std::string& digest, const std::string& path);
  absl::StatusOr<UnpackedArchive> Check(const std::string& digest, const std::string& archive);
  absl::Status CheckRoom(const UnpackedArchive& needed) const;
  absl::Status CheckRoomToFetch(uint64_t bytes) const;
  void Remember(const std::string& digest, const absl::Status& refusal);

  const Options options_;
  ImageSource& source_;
  const Fd cancelled_;                          // eventfd; readable: everything is given up
  std::mutex mutex_;                            // not held while an image is fetched
  std::map<std::string, std::string> refused_;  // guarded by mutex_: digest → why
  // Guarded by mutex_: digest → what it needs, of archives that keep to the rules and wait for
  // room.
  std::map<std::string, UnpackedArchive> checked_;
  std::set<std::string> fetching_;  // guarded by mutex_: hex digests
};

// Copies the tree below `from` to the new directory `to`: contents shared where the file system can
// (reflink), never by hard links, since an app may write to its files. With uid >= 0, everything
// belongs to that user and group. `to` is closed to others (0700) until all of it is there.
absl::Status CopyTree(const std::string& from, const std::string& to, int64_t uid = -1,
                      int64_t gid = -1);

}  // namespace remuda::agent
