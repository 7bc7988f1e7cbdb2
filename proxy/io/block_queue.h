// Bytes in order, in blocks of a worker's pool: what one side has given and the other has not taken
// yet. Holds no block while it is empty. One thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <vector>

#include "proxy/io/buffer_pool.h"

namespace remuda::proxy {

class BlockQueue {
 public:
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  void Append(BufferPool& pool, const char* data, size_t size) {
    size_ += size;
    if (first_ >= kMaxGivenBack) {
      blocks_.erase(blocks_.begin(), blocks_.begin() + static_cast<ptrdiff_t>(first_));
      first_ = 0;
    }
    while (size > 0) {
      if (blocks_.size() == first_ || blocks_.back().room_size() == 0)
        blocks_.push_back(pool.Take());
      Buffer& last = blocks_.back();
      const size_t part = std::min(size, last.room_size());
      std::memcpy(last.room(), data, part);
      last.end += part;
      data += part;
      size -= part;
    }
  }

  // What lies together at the front; empty if nothing is there.
  std::string_view Front() {
    return empty() ? std::string_view()
                   : std::string_view(blocks_[first_].data(), blocks_[first_].size());
  }

  // Takes up to `size` bytes off the front into `out`; returns how many.
  size_t Take(BufferPool& pool, char* out, size_t size) {
    size_t taken = 0;
    while (taken < size && !empty()) {
      const size_t part = std::min(size - taken, blocks_[first_].size());
      std::memcpy(out + taken, blocks_[first_].data(), part);
      Drop(pool, part);
      taken += part;
    }
    return taken;
  }

  // Takes `size` bytes off the front, which must be there.
  void Drop(BufferPool& pool, size_t size) {
    size_ -= size;
    while (size > 0) {
      Buffer& front = blocks_[first_];
      const size_t part = std::min(size, front.size());
      front.begin += part;
      size -= part;
      if (front.size() == 0) {
        pool.Give(front);
        ++first_;
      }
    }
    if (size_ == 0) Clear(pool);
  }

  void Clear(BufferPool& pool) {
    for (; first_ < blocks_.size(); ++first_) pool.Give(blocks_[first_]);
    blocks_.clear();
    first_ = 0;
    size_ = 0;
  }

 private:
  // Empty places at the front that are tolerated before the rest moves up.
  static constexpr size_t kMaxGivenBack = 16;

  std::vector<Buffer> blocks_;  // those before first_ are given back
  size_t first_ = 0;
  size_t size_ = 0;
};

}  // namespace remuda::proxy
