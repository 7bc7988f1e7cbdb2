// The value of a Date field (RFC 9110 section 5.6.7), made once a second. No I/O, no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace remuda::proxy::http {

inline constexpr size_t kDateBytes = 29;  // "Sun, 06 Nov 1994 08:49:37 GMT"

// Keeps the text of the last second. One thread.
class DateText {
 public:
  // Of that time since the epoch; valid until the next call.
  std::string_view At(int64_t us);

 private:
  int64_t second_ = -1;
  std::array<char, kDateBytes> text_{};
};

}  // namespace remuda::proxy::http
