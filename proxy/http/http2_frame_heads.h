// Finds the heads of frames in the bytes of an HTTP/2 client (RFC 9113 section 4.1), however they
// are cut. Judges nothing: what is wrong with a frame is for others to find. No I/O.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace remuda::proxy::http {

class Http2FrameHeads {
 public:
  static constexpr size_t kHeadBytes = 9;
  static constexpr size_t kPrefaceBytes = 24;

  struct Head {
    size_t begin = 0;  // in the bytes at hand; 0 if it began in those before
    uint8_t type = 0;
    uint32_t stream = 0;
  };

  // The next frame whose head ends within bytes[at, size); `at` moves behind that head. False if
  // there is none: all bytes are dealt with, and the next call is for those that follow them.
  bool Next(const char* bytes, size_t size, size_t& at, Head& head) {
    while (at < size) {
      if (const size_t skipped = std::min(skip_, size - at); skipped > 0) {
        skip_ -= skipped;
        at += skipped;
        continue;
      }
      if (held_ == 0) head.begin = at;
      while (held_ < kHeadBytes && at < size) held_bytes_[held_++] = Byte(bytes[at++]);
      if (held_ < kHeadBytes) return false;
      if (at < kHeadBytes) head.begin = 0;
      held_ = 0;
      skip_ = Number(0, 3);
      head.type = held_bytes_[3];
      head.stream = static_cast<uint32_t>(Number(5, 4)) & 0x7fffffff;
      return true;
    }
    return false;
  }

 private:
  static uint8_t Byte(char c) { return static_cast<uint8_t>(c); }
  size_t Number(size_t at, size_t count) const {
    size_t number = 0;
    for (size_t i = 0; i < count; ++i) number = number << 8 | held_bytes_[at + i];
    return number;
  }

  size_t skip_ = kPrefaceBytes;  // bytes before the next head
  size_t held_ = 0;              // of a head
  std::array<uint8_t, kHeadBytes> held_bytes_{};
};

}  // namespace remuda::proxy::http
