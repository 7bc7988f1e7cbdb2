// A set of a listener's rules, by their place in priority order.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "proxy/core/rule.h"

namespace remuda::proxy {

class RuleSet {
 public:
  static constexpr size_t kMaxSize = static_cast<size_t>(kMaxRules) + 1;  // and the default

  void Add(size_t rule) { words_[rule / 64] |= uint64_t{1} << (rule % 64); }
  void Remove(size_t rule) { words_[rule / 64] &= ~(uint64_t{1} << (rule % 64)); }
  bool Contains(size_t rule) const { return (words_[rule / 64] >> (rule % 64) & 1) != 0; }
  RuleSet& operator|=(const RuleSet& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
    return *this;
  }
  RuleSet& operator&=(const RuleSet& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] &= other.words_[i];
    return *this;
  }
  bool Intersects(const RuleSet& other) const {
    uint64_t any = 0;
    for (size_t i = 0; i < words_.size(); ++i) any |= words_[i] & other.words_[i];
    return any != 0;
  }
  // The first rule of the set at or behind `from`; kMaxSize if there is none.
  size_t Next(size_t from) const {
    for (size_t i = from / 64; i < words_.size(); ++i) {
      const uint64_t skipped = i == from / 64 ? ~uint64_t{0} << (from % 64) : ~uint64_t{0};
      if (const uint64_t word = words_[i] & skipped; word != 0)
        return i * 64 + static_cast<size_t>(std::countr_zero(word));
    }
    return kMaxSize;
  }

 private:
  std::array<uint64_t, (kMaxSize + 63) / 64> words_{};
};

}  // namespace remuda::proxy
