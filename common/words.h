// Numbers and nouns as a sentence wants them. Thread: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace remuda {

// "1 instance", "2 instances"; `plural` for words that take more than an s ("proxies").
inline std::string Counted(int64_t count, std::string_view singular, std::string_view plural = "") {
  std::string out = std::to_string(count) + " ";
  if (count == 1) return out.append(singular);
  return plural.empty() ? out.append(singular).append("s") : out.append(plural);
}

// "a host", "an AutoScalingGroup". By the first letter: no noun of ours is spoken otherwise.
inline std::string WithArticle(std::string_view noun) {
  const bool is_vowel =
      !noun.empty() && std::string_view("aeioAEIO").find(noun.front()) != std::string_view::npos;
  return std::string(is_vowel ? "an " : "a ").append(noun);
}

}  // namespace remuda
