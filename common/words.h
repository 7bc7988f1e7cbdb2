// Numbers and nouns as a sentence wants them. Thread: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace remuda {

// "instances", "launches", "proxies" of a noun in the singular.
inline std::string PluralOf(std::string_view noun) {
  const auto ends = [noun](std::string_view end) { return noun.ends_with(end); };
  if (ends("ch") || ends("sh") || ends("s") || ends("x")) return std::string(noun) + "es";
  const bool is_after_vowel = ends("ay") || ends("ey") || ends("oy") || ends("uy");
  if (ends("y") && !is_after_vowel) return std::string(noun.substr(0, noun.size() - 1)) + "ies";
  return std::string(noun) + "s";
}

// "1 instance", "2 old instances"; 0 is plural.
inline std::string Counted(int64_t count, std::string_view noun) {
  return std::to_string(count) + " " + (count == 1 ? std::string(noun) : PluralOf(noun));
}

// "a host", "an AutoScalingGroup". By the first letter: no noun of ours is spoken otherwise.
inline std::string WithArticle(std::string_view noun) {
  const bool is_vowel =
      !noun.empty() && std::string_view("aeioAEIO").find(noun.front()) != std::string_view::npos;
  return std::string(is_vowel ? "an " : "a ").append(noun);
}

// Without case, `_` and `-`: health_check and HealthCheck are healthCheck.
inline std::string Folded(std::string_view word) {
  std::string out;
  for (const char c : word) {
    if (c == '-' || c == '_') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

}  // namespace remuda
