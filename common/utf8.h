// Text from outside (names in archives, what apps print, errors that hold either): bytes that need
// not be UTF-8. A proto string must be, or whoever receives the message cannot parse any of it.
//
// Plain C++. Any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace remuda {

// Length of the UTF-8 sequence (RFC 3629) that `text` begins with; 0 if it is none, or empty.
size_t Utf8Length(std::string_view text);

bool IsUtf8(std::string_view text);

// `text` with each byte that belongs to no UTF-8 sequence shown as \xNN.
std::string ValidUtf8(std::string_view text);

// ValidUtf8, and at most `max_bytes`: of a longer one the beginning, and " ... (cut)".
std::string ValidUtf8(std::string_view text, size_t max_bytes);

}  // namespace remuda
