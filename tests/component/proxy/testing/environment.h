// What a run of a test is told by environment variables.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace remuda::proxy::testing {

// The number in `variable`, or `otherwise`.
inline uint64_t NumberFrom(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace remuda::proxy::testing
