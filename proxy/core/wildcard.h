// Patterns with `*` (any run of characters) and `?` (any one). No allocation when matching.
#pragma once

#include <string>
#include <string_view>

namespace remuda::proxy {

struct WildcardOptions {
  bool lower = false;    // compared without case: the pattern is compiled to lower case
  bool escapes = false;  // `\*` and `\?` stand for the characters themselves, `\\` for a backslash
};

// Wildcards become control characters, which no pattern holds, so that an escaped one is a
// character as any other.
inline constexpr char kAnyRun = '\x01';
inline constexpr char kAnyOne = '\x02';
std::string CompileWildcard(std::string_view pattern, const WildcardOptions& options);

// Whether a compiled pattern matches all of `text`; with `lower`, `text` is taken in lower case.
bool MatchesWildcard(std::string_view compiled, std::string_view text, bool lower);

// What every text that a compiled pattern matches begins, or ends, with.
std::string_view LiteralFront(std::string_view compiled);
std::string_view LiteralBack(std::string_view compiled);

}  // namespace remuda::proxy
