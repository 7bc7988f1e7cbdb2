// Pipes through which bytes go from one socket to another without passing through this process
// (splice(2)): large plain bodies and tunnels. A worker keeps a few and lends them.
//
// Thread: its worker's.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <vector>

namespace remuda::proxy {

class SplicePipe {
 public:
  SplicePipe(int read_fd, int write_fd, size_t capacity)
      : read_fd_(read_fd), write_fd_(write_fd), capacity_(capacity) {}
  SplicePipe(const SplicePipe&) = delete;
  SplicePipe& operator=(const SplicePipe&) = delete;
  ~SplicePipe();

  // Bytes that are in it. Each adds to or takes from it what can be at once.
  size_t size() const { return size_; }
  // From a socket, when empty: bytes, 0 at the end of the stream, or -errno. Few bytes do not mean
  // that no more wait.
  ssize_t Fill(int socket, size_t max_bytes);
  // To a socket: bytes, or -errno.
  ssize_t Drain(int socket);

 private:
  const int read_fd_;
  const int write_fd_;
  const size_t capacity_;
  size_t size_ = 0;
};

class SplicePipePool {
 public:
  // What a pipe holds. More than the pages of one socket's read cost cache misses and gain nothing
  // (docs/performance.md).
  static constexpr int kPipeBytes = 256 * 1024;
  // With less, reading and writing is as cheap.
  static constexpr int kMinPipeBytes = 64 * 1024;

  explicit SplicePipePool(size_t max_pipes) : max_pipes_(max_pipes) {}

  // An empty pipe, or null: all are lent, or the system grants none. Then bytes must be copied.
  std::unique_ptr<SplicePipe> Take();
  // Keeps it if it is empty, else closes it.
  void Give(std::unique_ptr<SplicePipe> pipe);

 private:
  const size_t max_pipes_;
  size_t lent_ = 0;
  std::vector<std::unique_ptr<SplicePipe>> free_;
};

}  // namespace remuda::proxy
