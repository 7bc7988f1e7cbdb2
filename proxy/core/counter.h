// A counter that one thread writes and any thread reads: it needs no atomic read-modify-write.
#pragma once

#include <atomic>

namespace remuda::proxy {

template <typename T>
class OwnedCounter {
 public:
  void Add(T n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void Sub(T n) {
    value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
  }
  T Get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<T> value_{0};
};

}  // namespace remuda::proxy
