// Small arithmetic for picking: spreading bits, and taking a share of a random number.
#pragma once

#include <cstdint>
#include <string_view>

namespace remuda::proxy {

// MurmurHash3's finalizer: each bit of the input changes each of the output with probability 1/2.
constexpr uint64_t Mix(uint64_t value) {
  value ^= value >> 33;
  value *= 0xff51afd7ed558ccdULL;
  value ^= value >> 33;
  value *= 0xc4ceb9fe1a85ec53ULL;
  return value ^ (value >> 33);
}

// FNV-1a, then mixed. The same in every proxy of every version: cookies and hash rings of one
// proxy must mean the same to another.
constexpr uint64_t HashOf(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : bytes) {
    hash ^= static_cast<uint8_t>(c);
    hash *= 0x100000001b3ULL;
  }
  return Mix(hash);
}

// Evenly in [0, bound) from a random 64-bit number.
constexpr uint64_t Scale(uint64_t random, uint64_t bound) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(random) * bound) >> 64);
}

// The n-th random number that follows from `random`.
constexpr uint64_t NthRandom(uint64_t random, uint64_t n) {
  return Mix(random + (n + 1) * 0x9e3779b97f4a7c15ULL);
}

}  // namespace remuda::proxy
