// RE2 as conditions and rewrites use it. A header of its own: RE2's brings -pthread along, which
// the precompiled headers were made without.
#pragma once

#include <re2/re2.h>

#include <cstdint>

namespace remuda::traffic {

// Of a compiled pattern: one whose program needs more is refused.
inline constexpr int64_t kMaxRegexMemoryBytes = 256 * 1024;

// Patterns and texts are bytes (Latin-1), as header fields are. Without case a program is larger:
// whether a pattern is right depends on it.
inline re2::RE2::Options RegexOptions(bool ignore_case,
                                      int64_t max_memory_bytes = kMaxRegexMemoryBytes) {
  re2::RE2::Options options;
  options.set_encoding(re2::RE2::Options::EncodingLatin1);
  options.set_log_errors(false);
  options.set_case_sensitive(!ignore_case);
  options.set_max_mem(max_memory_bytes);
  return options;
}

}  // namespace remuda::traffic
