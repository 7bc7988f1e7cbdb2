// Character classes of HTTP/1.1's grammar (RFC 9110 section 5.6, RFC 9112, RFC 3986), as one table
// lookup each.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace remuda::proxy::http {

enum CharClass : uint8_t {
  kTokenChar = 1,       // RFC 9110 tchar
  kFieldValueChar = 2,  // visible ASCII, space, tab, obs-text; no other control
  kTargetChar = 4,      // what a request target may hold: visible ASCII without '#'
  kUnreservedChar = 8,  // RFC 3986 unreserved
  kHostChar = 16,       // reg-name, IPv4, [IPv6] and :port
  kPlainNameChar = 32,  // of field names that every target takes: letters, digits, hyphen
};

namespace internal {
constexpr std::array<uint8_t, 256> MakeCharTable() {
  std::array<uint8_t, 256> table{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    uint8_t bits = 0;
    if (alnum || (c < 128 && std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) !=
                                 std::string_view::npos)) {
      bits |= kTokenChar;
    }
    if ((c >= 0x20 && c != 0x7f) || c == '\t') bits |= kFieldValueChar;
    if (c > 0x20 && c < 0x7f && c != '#') bits |= kTargetChar;
    if (alnum || c == '-' || c == '.' || c == '_' || c == '~') bits |= kUnreservedChar;
    if (alnum || (c < 128 && std::string_view("-._~%!$&'()*+;=:[]").find(static_cast<char>(c)) !=
                                 std::string_view::npos)) {
      bits |= kHostChar;
    }
    if (alnum || c == '-') bits |= kPlainNameChar;
    table[c] = bits;
  }
  return table;
}
inline constexpr std::array<uint8_t, 256> kCharTable = MakeCharTable();
}  // namespace internal

constexpr bool Is(char c, CharClass cls) {
  return (internal::kCharTable[static_cast<uint8_t>(c)] & cls) != 0;
}

constexpr bool AllOf(std::string_view text, CharClass cls) {
  for (char c : text) {
    if (!Is(c, cls)) return false;
  }
  return true;
}

namespace internal {
inline constexpr uint64_t kOnes = 0x0101010101010101;
inline constexpr uint64_t kHighBits = 0x80 * kOnes;

inline uint64_t LoadWord(const char* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// Whether all of 8 bytes are 0x20 or above and not DEL: what nearly every byte of a field's value
// is.
inline bool HasNoControl(uint64_t word) {
  const uint64_t del = word ^ (0x7f * kOnes);
  return ((((word - 0x20 * kOnes) & ~word) | ((del - kOnes) & ~del)) & kHighBits) == 0;
}

// Each of 8 bytes as Lower makes it.
inline uint64_t LowerWord(uint64_t word) {
  const uint64_t low_bits = word & ~kHighBits;
  const uint64_t from_a = low_bits + (0x80 - 'A') * kOnes;
  const uint64_t beyond_z = low_bits + (0x7f - 'Z') * kOnes;
  const uint64_t is_upper = (from_a ^ beyond_z) & ~word & kHighBits;
  return word | (is_upper >> 2);
}
}  // namespace internal

// AllOf(text, kFieldValueChar), 8 bytes at a time.
inline bool HoldsFieldValueChars(std::string_view text) {
  size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    if (!internal::HasNoControl(internal::LoadWord(text.data() + at)) &&
        !AllOf(text.substr(at, 8), kFieldValueChar)) {
      return false;
    }
  }
  return AllOf(text.substr(at), kFieldValueChar);
}

constexpr char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

constexpr bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  if (!std::is_constant_evaluated() && a.size() >= 8) {
    // Words from the front, and one that ends with the texts.
    const size_t last = a.size() - 8;
    for (size_t at = 0; at < last; at += 8) {
      if (internal::LowerWord(internal::LoadWord(a.data() + at)) !=
          internal::LowerWord(internal::LoadWord(b.data() + at))) {
        return false;
      }
    }
    return internal::LowerWord(internal::LoadWord(a.data() + last)) ==
           internal::LowerWord(internal::LoadWord(b.data() + last));
  }
  for (size_t i = 0; i < a.size(); ++i) {
    if (Lower(a[i]) != Lower(b[i])) return false;
  }
  return true;
}

// The value of a hex digit, or -1.
constexpr int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Writes 8 lower-case hex digits, all at once: each nibble goes to a byte of its own, those above 9
// get the distance from '9' + 1 to 'a' on top.
inline void WriteHex8(uint32_t value, char* out) {
  uint64_t bytes = ((uint64_t{value} & 0xffff0000) << 16) | (value & 0xffff);
  bytes = ((bytes << 8) | bytes) & 0x00ff00ff00ff00ff;
  bytes = ((bytes << 4) | bytes) & 0x0f0f0f0f0f0f0f0f;
  const uint64_t above_nine = ((bytes + 0x0606060606060606) >> 4) & 0x0101010101010101;
  bytes += 0x3030303030303030 + above_nine * ('a' - '9' - 1);
  // The first digit is the highest byte: first in memory, whichever way this machine has it.
  if constexpr (std::endian::native == std::endian::little) bytes = __builtin_bswap64(bytes);
  std::memcpy(out, &bytes, sizeof bytes);
}

// Without leading and trailing spaces and tabs (OWS).
constexpr std::string_view TrimOws(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes the next element of a comma-separated list (RFC 9110 section 5.6.1) off `list`, trimmed;
// may be empty.
constexpr std::string_view NextListElement(std::string_view& list) {
  const size_t comma = list.find(',');
  const std::string_view element = TrimOws(list.substr(0, comma));
  list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  return element;
}

}  // namespace remuda::proxy::http
