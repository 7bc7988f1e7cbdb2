// Tells when many connections have ended, so that the memory they took is given back: a worker's
// heap keeps it else.
//
// Thread: its owner's. No clock, no I/O.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace remuda::proxy {

class CrowdWatch {
 public:
  static constexpr std::chrono::seconds kLookInterval{1};
  // Between two times that memory is given back, in looks.
  static constexpr int kLooksBetween = 10;
  // As many must have gone, and half of all at least.
  static constexpr int64_t kCrowd = 500;
  // Free memory that is kept for those to come.
  static constexpr size_t kKeptBytes = size_t{32} << 20;

  // Once each kLookInterval, with the connections that there are. True: give memory back now.
  bool Look(int64_t connections) {
    most_ = std::max(most_, connections);
    if (++looks_ < kLooksBetween || most_ - connections < kCrowd || connections > most_ / 2)
      return false;
    most_ = connections;
    looks_ = 0;
    return true;
  }

 private:
  int64_t most_ = 0;  // connections, since memory was given back
  int looks_ = 0;     // since then
};

}  // namespace remuda::proxy
