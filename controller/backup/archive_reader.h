// ArchiveReader: the entries of a backup's archive, one after the other, held against its manifest.
//
// What it reads may come from anywhere: a name, a kind, a size or a digest that is not the
// manifest's ends it, and nothing is written beyond the sizes that the manifest says.
// Blocking I/O; one thread.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "controller/backup/manifest.h"

struct archive;

namespace remuda {

class ArchiveReader {
 public:
  // `from`: a file; `-`: the standard input.
  static absl::StatusOr<std::unique_ptr<ArchiveReader>> Open(const std::string& from);
  ~ArchiveReader();

  // First.
  absl::StatusOr<BackupManifest> ReadManifest();
  // Then each entry of it in order.
  using Write = std::function<absl::Status(std::string_view bytes)>;
  absl::Status ReadEntry(const BackupEntry& entry, const Write& write);
  // Last: that nothing more is there.
  absl::Status ReadEnd();

 private:
  explicit ArchiveReader(std::string from);
  absl::Status Broken(const std::string& what) const;
  // The next header; its name must be this one.
  absl::StatusOr<int64_t> Begin(const std::string& name);

  const std::string from_;
  struct Free {
    void operator()(archive* reader) const;
  };
  std::unique_ptr<archive, Free> archive_;
};

}  // namespace remuda
