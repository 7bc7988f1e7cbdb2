// Consistent hashing with few points: each target stands at kPointsATarget places of a ring (more
// by its weight), a key tries kProbes places and takes the target that follows most closely
// (multi-probe consistent hashing, Appleton and O'Reilly). So a target that goes moves only its own
// keys, one that comes takes its share alone, and 10,000 targets need no more than 80,000 points.
// One thread; no allocation in a lookup.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "proxy/core/mix.h"

namespace remuda::proxy {

// A place on the ring of a group. Made for all members, whatever their health.
struct HashPoint {
  uint64_t place = 0;
  uint32_t member = 0;  // index in TargetGroup::members
};

inline constexpr uint32_t kPointsATarget = 8;
// A target of the highest weight has at most so many times the points of one of weight 1; above
// that weights are scaled.
inline constexpr uint32_t kMaxPointFactor = 16;

// Of one who weighs `weight` where the highest is `max_weight` (and all weigh the same if
// `is_uniform`).
uint32_t PointsOf(uint32_t weight, uint32_t max_weight, bool is_uniform);

// One target's places, ascending in number only.
inline uint64_t PlaceOf(uint64_t target_hash, uint32_t n) { return NthRandom(target_hash, n); }

// The places of those that may be picked now.
class HashRing {
 public:
  static constexpr int kProbes = 8;

  void Clear() {
    places_.clear();
    entries_.clear();
  }
  // By ascending place.
  void Add(uint64_t place, uint32_t entry) {
    places_.push_back(place);
    entries_.push_back(entry);
  }
  // After the last Add.
  void Build();

  bool empty() const { return places_.empty(); }
  // Calls `take(entry)` with the entry that the key belongs to, then with those that follow on the
  // ring, until it returns true or all were offered; some more than once.
  template <typename Take>
  void Find(uint64_t key, Take take) const {
    if (places_.empty()) return;
    const size_t start = Closest(key);
    uint32_t last = ~uint32_t{0};
    for (size_t i = 0; i < entries_.size(); ++i) {
      const size_t at = start + i < entries_.size() ? start + i : start + i - entries_.size();
      if (entries_[at] == last) continue;
      last = entries_[at];
      if (take(last)) return;
    }
  }

 private:
  size_t Closest(uint64_t key) const;
  size_t FirstFrom(uint64_t place) const;

  std::vector<uint64_t> places_;
  std::vector<uint32_t> entries_;
  // For each value of a place's first bits the first index at or after it.
  std::vector<uint32_t> starts_;
  int shift_ = 63;
};

}  // namespace remuda::proxy
