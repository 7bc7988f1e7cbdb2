// Fixed-size blocks for one worker, given back as soon as a connection is idle. One thread.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace remuda::proxy {

// A block of bytes with a filled part [begin, end). Empty (no block) when default made.
struct Buffer {
  std::unique_ptr<char[]> block;
  size_t capacity = 0;
  size_t begin = 0;
  size_t end = 0;

  explicit operator bool() const { return block != nullptr; }
  char* data() { return block.get() + begin; }
  size_t size() const { return end - begin; }
  char* room() { return block.get() + end; }
  size_t room_size() const { return capacity - end; }
};

class BufferPool {
 public:
  static constexpr size_t kBlockBytes = 16 * 1024;
  // For heads that outgrow a block: the largest request head and what is added to it.
  static constexpr size_t kLargeBytes = 72 * 1024;
  // Free blocks kept; more are given back to the allocator.
  static constexpr size_t kMaxFreeBlocks = 1024;

  Buffer Take() {
    Buffer buffer;
    buffer.capacity = kBlockBytes;
    if (free_.empty()) {
      buffer.block.reset(new char[kBlockBytes]);
    } else {
      buffer.block = std::move(free_.back());
      free_.pop_back();
    }
    return buffer;
  }
  static Buffer TakeLarge() {
    Buffer buffer;
    buffer.block.reset(new char[kLargeBytes]);
    buffer.capacity = kLargeBytes;
    return buffer;
  }
  void Give(Buffer& buffer) {
    if (buffer.capacity == kBlockBytes && buffer.block != nullptr &&
        free_.size() < kMaxFreeBlocks) {
      free_.push_back(std::move(buffer.block));
    } else {
      buffer.block.reset();
    }
    buffer.capacity = buffer.begin = buffer.end = 0;
  }

 private:
  std::vector<std::unique_ptr<char[]>> free_;
};

}  // namespace remuda::proxy
