// Whose turn is the n-th, by weights: said by arithmetic from its number alone, so that those who
// count turns together share nothing but the counter. Smooth: of two entries each has within one of
// its share of any turns in a row; of more, the lightest has, the others nearly. Exact over as many
// turns as the weights' sum.
//
// One entry after the other, the lightest first, takes its turns evenly spread over those that are
// left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace remuda::proxy {

class SmoothShares {
 public:
  // Weight and sum of weights, multiplied, fit 32 bits.
  static constexpr uint64_t kMaxWeight = 10000;
  static constexpr uint64_t kMaxTotal = 400000;
  static_assert(kMaxWeight * kMaxTotal <= UINT32_MAX);

  static constexpr uint32_t kNone = ~uint32_t{0};

  void Clear() {
    parts_.clear();
    total_ = 0;
    only_ = kNone;
  }
  // `weight` from 1 to kMaxWeight. Call Build after the last.
  void Add(uint32_t entry, uint32_t weight) {
    parts_.push_back({entry, weight});
    total_ += weight;
  }
  void Build();

  size_t size() const { return parts_.size(); }
  uint32_t total() const { return total_; }
  // If there is one alone; else kNone.
  uint32_t only() const { return only_; }

  // Not of an empty one.
  uint32_t At(uint64_t turn) const {
    auto left = static_cast<uint32_t>(turn % total_);
    uint32_t total = total_;
    for (size_t i = 0; i + 1 < parts_.size(); ++i) {
      const uint32_t weight = parts_[i].weight;
      const uint32_t scaled = left * weight;
      if (scaled % total + weight >= total) return parts_[i].entry;
      left -= scaled / total;  // the turns that it has had
      total -= weight;
    }
    return parts_.back().entry;
  }
  // For all of them together, those that `skips` names left out, in proportion to their weights;
  // kNone if there is no other.
  template <typename Skips>
  uint32_t Draw(uint64_t random, Skips skips) const {
    uint64_t total = 0;
    for (const Part& part : parts_) total += skips(part.entry) ? 0 : part.weight;
    uint64_t at = static_cast<uint64_t>((static_cast<unsigned __int128>(random) * total) >> 64);
    for (const Part& part : parts_) {
      if (skips(part.entry)) continue;
      if (at < part.weight) return part.entry;
      at -= part.weight;
    }
    return kNone;
  }

 private:
  struct Part {
    uint32_t entry;
    uint32_t weight;
  };
  std::vector<Part> parts_;  // the lightest first
  uint32_t total_ = 0;
  uint32_t only_ = kNone;
};

}  // namespace remuda::proxy
