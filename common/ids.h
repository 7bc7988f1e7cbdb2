// The form of what names things in the API and on disk: ids of resources, digests of images. Who
// makes a path of one checks it first. Thread: pure functions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace remuda {

inline constexpr size_t kMaxIdBytes = 63;

// [a-z0-9]([a-z0-9-]*[a-z0-9])?, of at most `max_bytes`.
inline bool IsId(std::string_view text, size_t max_bytes = kMaxIdBytes) {
  return !text.empty() && text.size() <= max_bytes && text.front() != '-' && text.back() != '-' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

// 64 of [0-9a-f].
inline bool IsSha256Hex(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

inline constexpr std::string_view kDigestPrefix = "sha256:";

// kDigestPrefix and IsSha256Hex.
inline bool IsDigest(std::string_view text) {
  return text.starts_with(kDigestPrefix) && IsSha256Hex(text.substr(kDigestPrefix.size()));
}

}  // namespace remuda
