#include "proxy/core/wildcard.h"

#include "proxy/http/chars.h"

namespace remuda::proxy {
namespace {

constexpr std::string_view kWildcards("\x01\x02", 2);

}  // namespace

std::string CompileWildcard(std::string_view pattern, const WildcardOptions& options) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    char c = pattern[i];
    const bool is_escape = options.escapes && c == '\\' && i + 1 < pattern.size() &&
                           std::string_view("*?\\").find(pattern[i + 1]) != std::string_view::npos;
    if (is_escape) {
      c = pattern[++i];
    } else if (c == '*') {
      c = kAnyRun;
    } else if (c == '?') {
      c = kAnyOne;
    }
    out += options.lower ? http::Lower(c) : c;
  }
  return out;
}

bool MatchesWildcard(std::string_view compiled, std::string_view text, bool lower) {
  size_t p = 0;
  size_t t = 0;
  size_t star = std::string_view::npos;
  size_t star_text = 0;
  while (t < text.size()) {
    const char c = lower ? http::Lower(text[t]) : text[t];
    if (p < compiled.size() && compiled[p] == kAnyRun) {
      star = p++;
      star_text = t;
    } else if (p < compiled.size() && (compiled[p] == kAnyOne || compiled[p] == c)) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;  // let the last run take one more
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < compiled.size() && compiled[p] == kAnyRun) ++p;
  return p == compiled.size();
}

std::string_view LiteralFront(std::string_view compiled) {
  return compiled.substr(0, compiled.find_first_of(kWildcards));
}

std::string_view LiteralBack(std::string_view compiled) {
  const size_t last = compiled.find_last_of(kWildcards);
  return last == std::string_view::npos ? compiled : compiled.substr(last + 1);
}

}  // namespace remuda::proxy
