// Bytes from one thread to another without a lock: the writer appends whole lines or nothing, the
// reader takes everything that is there. Bounded; what does not fit is the writer's to count.
//
// Threads: one writer (Append, IsHalfFull), one reader (the rest).
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

namespace remuda::proxy {

class LogRing {
 public:
  // A power of two.
  explicit LogRing(size_t capacity_bytes)
      : capacity_(capacity_bytes), bytes_(std::make_unique<char[]>(capacity_bytes)) {}

  // False if there is no room for all of it. The store that publishes is sequentially consistent:
  // a writer that looks afterwards whether the reader sleeps cannot miss it.
  bool Append(std::string_view line) {
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (line.size() > capacity_ - (tail - seen_head_)) {
      seen_head_ = head_.load(std::memory_order_acquire);
      if (line.size() > capacity_ - (tail - seen_head_)) return false;
    }
    const size_t at = static_cast<size_t>(tail & (capacity_ - 1));
    const size_t first = std::min(line.size(), capacity_ - at);
    std::memcpy(bytes_.get() + at, line.data(), first);
    std::memcpy(bytes_.get(), line.data() + first, line.size() - first);
    tail_.store(tail + line.size(), std::memory_order_seq_cst);
    return true;
  }
  // Writer: whether the reader should hurry.
  bool IsHalfFull() {
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - seen_head_ <= capacity_ / 2) return false;
    seen_head_ = head_.load(std::memory_order_acquire);
    return tail - seen_head_ > capacity_ / 2;
  }

  bool empty() const { return size() == 0; }
  // Bytes that wait: whole lines.
  size_t size() const {
    return static_cast<size_t>(tail_.load(std::memory_order_seq_cst) -
                               head_.load(std::memory_order_relaxed));
  }
  // The first `size` bytes of them in one or two pieces; returns how many. They stay until they are
  // consumed.
  size_t Peek(size_t size, iovec* pieces) const {
    const size_t at = static_cast<size_t>(head_.load(std::memory_order_relaxed) & (capacity_ - 1));
    const size_t first = std::min(size, capacity_ - at);
    pieces[0] = {bytes_.get() + at, first};
    if (first == size) return 1;
    pieces[1] = {bytes_.get(), size - first};
    return 2;
  }
  void Consume(size_t size) {
    head_.store(head_.load(std::memory_order_relaxed) + size, std::memory_order_release);
  }

 private:
  const size_t capacity_;
  const std::unique_ptr<char[]> bytes_;
  // The writer's and the reader's on cache lines of their own.
  alignas(64) std::atomic<uint64_t> tail_{0};
  uint64_t seen_head_ = 0;
  alignas(64) std::atomic<uint64_t> head_{0};
};

}  // namespace remuda::proxy
