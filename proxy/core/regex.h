// RE2, bounded, behind a header that does not include it. Patterns and texts are bytes (Latin-1),
// as header fields are. Constant after compilation; any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/fault.h"

namespace re2 {
class RE2;
}

namespace remuda::proxy {

inline constexpr int kMaxRegexGroups = 9;

class Regex {
 public:
  struct Options {
    size_t max_bytes = 512;
    bool ignore_case = false;
  };
  // Sets `out`, or names `field`, the pattern and what RE2 says of it.
  static Fault Compile(std::string_view field, const std::string& pattern, const Options& options,
                       std::shared_ptr<const Regex>& out);
  ~Regex();

  bool MatchesWhole(std::string_view text) const;
  // Finds the first match anywhere in `text`: parts[0] is all of it, parts[n] group n (empty if it
  // took no part). At most kMaxRegexGroups + 1 parts, and no more than groups() + 1.
  bool Find(std::string_view text, std::span<std::string_view> parts) const;
  int groups() const;
  // Of its program: what compiling it costs, and a union with it.
  int instructions() const;
  const std::string& pattern() const;
  bool ignore_case() const { return ignore_case_; }

 private:
  Regex(std::unique_ptr<re2::RE2> program, bool ignore_case);

  const std::unique_ptr<re2::RE2> program_;
  const bool ignore_case_;
};

// Whether any of several patterns matches the whole of a text, in one pass. Answers true when it
// cannot tell (the patterns together need too much memory), so it only ever saves work.
class RegexUnion {
 public:
  explicit RegexUnion(std::span<const std::shared_ptr<const Regex>> regexes);
  ~RegexUnion();
  bool MayMatch(std::string_view text) const;

 private:
  struct Set;
  std::unique_ptr<Set> set_;  // null: cannot tell
};

}  // namespace remuda::proxy
