#include "proxy/io/splice_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace remuda::proxy {

SplicePipe::~SplicePipe() {
  close(read_fd_);
  close(write_fd_);
}

ssize_t SplicePipe::Fill(int socket, size_t max_bytes) {
  ssize_t moved;
  do {
    moved = splice(socket, nullptr, write_fd_, nullptr, std::min(max_bytes, capacity_),
                   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  } while (moved < 0 && errno == EINTR);
  if (moved < 0) return -errno;
  size_ += static_cast<size_t>(moved);
  return moved;
}

ssize_t SplicePipe::Drain(int socket) {
  ssize_t moved;
  do {
    moved = splice(read_fd_, nullptr, socket, nullptr, size_, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  } while (moved < 0 && errno == EINTR);
  if (moved < 0) return -errno;
  size_ -= static_cast<size_t>(moved);
  return moved;
}

std::unique_ptr<SplicePipe> SplicePipePool::Take() {
  if (lent_ >= max_pipes_) return nullptr;
  std::unique_ptr<SplicePipe> pipe;
  if (!free_.empty()) {
    pipe = std::move(free_.back());
    free_.pop_back();
  } else {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) return nullptr;
    // A user's pipes share a bound of pages: with what is left it may get less than asked for.
    fcntl(fds[1], F_SETPIPE_SZ, SplicePipePool::kPipeBytes);
    const int capacity = fcntl(fds[1], F_GETPIPE_SZ);
    pipe = std::make_unique<SplicePipe>(fds[0], fds[1], static_cast<size_t>(std::max(capacity, 0)));
    if (capacity < kMinPipeBytes) return nullptr;
  }
  ++lent_;
  return pipe;
}

void SplicePipePool::Give(std::unique_ptr<SplicePipe> pipe) {
  if (pipe == nullptr) return;
  --lent_;
  if (pipe->size() == 0) free_.push_back(std::move(pipe));
}

}  // namespace remuda::proxy
