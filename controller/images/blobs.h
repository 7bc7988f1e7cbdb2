// Blobs: the bytes of images on disk, one file a digest.
//
// Owns: DIR/sha256/HEX (whole, verified, immutable) and DIR/tmp (uploads under way; what a crash
// left there is removed at the start). Several controllers may have DIR in common: see
// Options.shared_as. Does not own: which blobs are images (the state). Thread: one at a time, the
// blob thread; calls block for I/O.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/sha256.h"

namespace remuda {

class Blobs {
 public:
  struct Options {
    std::string directory;   // made if missing
    int64_t max_blob_bytes;  // a larger upload is refused with RESOURCE_EXHAUSTED
    // Not empty: several controllers have the directory in common, and this one is called so, with
    // uploads in DIR/tmp/NAME. Collect spares what is younger than kCollectGrace then.
    std::string shared_as = {};
  };
  // What nothing names may be named soon: a push waits for copies, another controller commits.
  // Every wait of a push is shorter.
  static constexpr std::chrono::hours kCollectGrace{1};
  // What a controller that is there no more left in DIR/tmp of a shared directory goes after.
  static constexpr std::chrono::hours kUploadGrace{24};
  struct Blob {
    std::string digest;  // "sha256:" and 64 hex digits
    int64_t size_bytes = 0;
  };

  // `total_bytes` is kept up to date with the size of all blobs, and outlives this. Of a shared
  // directory it is what stood there when this controller last looked. INVALID_ARGUMENT: shared_as
  // cannot be a directory's name.
  static absl::StatusOr<std::unique_ptr<Blobs>> Open(Options options,
                                                     std::atomic<int64_t>& total_bytes);

  // Bytes on their way in. Given up, with its file, when it is destroyed before Finish succeeded.
  class Upload {
   public:
    Upload(const Upload&) = delete;
    Upload& operator=(const Upload&) = delete;
    ~Upload();
    // After an error size_bytes says how many of all that were given are in the file.
    absl::Status Append(std::string_view bytes);
    int64_t size_bytes() const { return size_bytes_; }
    // The file with the bytes that came.
    const std::string& path() const { return path_; }

   private:
    friend class Blobs;
    explicit Upload(const Options& options) : options_(options) {}
    const Options& options_;
    std::string path_;
    int fd_ = -1;
    int64_t size_bytes_ = 0;
    Sha256 hash_;
    std::string hex_;  // the digest, once sealed
  };
  absl::StatusOr<std::unique_ptr<Upload>> Begin();

  // Refuses a size over the limit.
  absl::Status CheckSize(int64_t size_bytes) const;

  // All bytes have come. `digest` (empty: any) and `size_bytes` (0: any) are what the sender
  // promised: INVALID_ARGUMENT if they differ.
  static absl::Status Seal(Upload& upload, std::string_view digest, int64_t size_bytes);
  // Makes a sealed upload durable under its digest, and claims it: no Collect removes it until
  // Release.
  absl::StatusOr<Blob> Finish(Upload& upload);
  void Release(const std::string& digest);

  // While it is held Collect removes nothing: somebody reads what blobs there are. It is not made
  // up for: collect again after.
  void Hold(bool held) { held_ = held; }
  // All that are there, by digest.
  absl::StatusOr<std::vector<Blob>> List() const;

  using FileClock = std::filesystem::file_time_type::clock;
  // Removes every blob that is neither in `referenced` nor claimed nor younger than `grace`, by
  // the clock of this machine. `now`: not later than when `referenced` was known to be all that is
  // named, however late this is called: whoever names more after that has it written after that.
  void Collect(const std::set<std::string>& referenced, std::chrono::seconds grace = {},
               FileClock::time_point now = FileClock::now());

  // Whether it is there.
  bool Has(std::string_view digest) const;
  // Makes one that is there as young as a new one. False: it is not there.
  bool Renew(std::string_view digest) const;
  // Its file, there or not. `digest` has the form of one.
  std::string PathOf(std::string_view digest) const;

  // A blob open for reading.
  class Reader {
   public:
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    ~Reader();
    int64_t size_bytes() const { return size_bytes_; }
    // At most `limit` bytes from `offset`; empty at the end.
    absl::StatusOr<std::string> Read(int64_t offset, size_t limit) const;

   private:
    friend class Blobs;
    explicit Reader(int fd) : fd_(fd) {}
    int fd_;
    int64_t size_bytes_ = 0;
  };
  // NOT_FOUND; INVALID_ARGUMENT if `digest` has not the form of one.
  absl::StatusOr<std::unique_ptr<Reader>> Read(std::string_view digest) const;
  // Removes the file that `reader` reads, as its bytes are not those of the digest. One that has
  // taken its place since stays.
  void Discard(std::string_view digest, const Reader& reader);

 private:
  Blobs(Options options, std::atomic<int64_t>& total_bytes)
      : options_(std::move(options)), total_bytes_(total_bytes) {}
  // Of uploads.
  std::string UploadDirectory() const;
  void CollectUploads() const;

  const Options options_;
  std::atomic<int64_t>& total_bytes_;
  int64_t next_upload_ = 0;
  std::map<std::string, int> claims_;
  bool held_ = false;
};

}  // namespace remuda
