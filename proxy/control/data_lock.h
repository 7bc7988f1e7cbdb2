// The lock of a proxy's data directory: one process serves from it. It goes with a takeover, and
// from a process that drains.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "proxy/io/descriptor.h"

namespace remuda::proxy {

class DataLock {
 public:
  // Makes the directory if it is not there (0700). UNAVAILABLE names the process that has it.
  static absl::StatusOr<DataLock> Take(const std::string& directory);
  // One that was another process's, and may still be open there.
  explicit DataLock(Descriptor file) : file_(std::move(file)) {}

  // Says that this process has it now.
  void Note() const;
  int fd() const { return file_.get(); }
  // Gives it up, unless another process has it open too.
  void Close() { file_.Reset(); }

 private:
  Descriptor file_;
};

}  // namespace remuda::proxy
