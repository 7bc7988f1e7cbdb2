// StateLock: that one process uses a state: a file with its number in it, locked as long as this is
// there. Blocking I/O; any thread.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <utility>

namespace remuda {

class StateLock {
 public:
  // Of a data directory; a store in SQLite has it of its file, which is there if nothing else is
  // said.
  static constexpr char kName[] = "state.db.lock";

  // Makes the file if it is missing. ALREADY_EXISTS: another process has it, and its number is all
  // that the message says (`unknown` if it cannot be read).
  static absl::StatusOr<StateLock> Take(const std::string& file);
  StateLock(StateLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  StateLock& operator=(StateLock&&) = delete;
  ~StateLock();

 private:
  explicit StateLock(int fd) : fd_(fd) {}

  int fd_;
};

}  // namespace remuda
