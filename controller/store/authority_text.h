// A cluster's authority as one text, as controllers share it: the PEM certificates (its own, those
// above it, the root), then its PEM private key. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace remuda {

// The key under which controllers share it (Store::ReadShared).
inline constexpr char kAuthorityKey[] = "authority";

struct AuthorityText {
  std::string certificates;
  std::string key;
};

inline std::string JoinAuthority(const AuthorityText& authority) {
  std::string out = authority.certificates;
  if (!out.empty() && out.back() != '\n') out += '\n';
  return out + authority.key;
}

// Not set: there are not both in it.
inline std::optional<AuthorityText> SplitAuthority(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  for (size_t at = text.find(kBegin); at != std::string_view::npos;
       at = text.find(kBegin, at + 1)) {
    const std::string_view line = text.substr(at, text.find('\n', at) - at);
    if (line.find("PRIVATE KEY-----") == std::string_view::npos) continue;
    if (text.substr(0, at).find("-----BEGIN CERTIFICATE-----") == std::string_view::npos) break;
    return AuthorityText{std::string(text.substr(0, at)), std::string(text.substr(at))};
  }
  return std::nullopt;
}

}  // namespace remuda
