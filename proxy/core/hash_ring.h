// Consistent hashing with few points: each target stands at kPointsATarget places of a ring (more
// by its weight), a key tries kProbes places and takes the target that follows most closely
// (multi-probe consistent hashing, Appleton and O'Reilly). So a target that goes moves only its own
// keys, one that comes takes its share alone, and 10,000 targets need no more than 80,000 points.
//
// The ring of a group holds all its members and is made once, with the routing table; who may be
// picked is said with each lookup. No allocation in a lookup.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "proxy/core/mix.h"

namespace remuda::proxy {

inline constexpr uint32_t kPointsATarget = 8;
// A target of the highest weight has at most so many times the points of one of weight 1; above
// that weights are scaled.
inline constexpr uint32_t kMaxPointFactor = 16;

// Of one who weighs `weight` where the highest is `max_weight` (and all weigh the same if
// `is_uniform`).
uint32_t PointsOf(uint32_t weight, uint32_t max_weight, bool is_uniform);

// The n-th place of a target.
inline uint64_t PlaceOf(uint64_t target_hash, uint32_t n) { return NthRandom(target_hash, n); }

class HashRing {
 public:
  static constexpr int kProbes = 8;

  void Clear() {
    places_.clear();
    members_.clear();
  }
  // By ascending place.
  void Add(uint64_t place, uint32_t member) {
    places_.push_back(place);
    members_.push_back(member);
  }
  // After the last Add.
  void Build();

  bool empty() const { return places_.empty(); }
  // Calls `visit(place, member)` by ascending place.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (size_t i = 0; i < places_.size(); ++i) visit(places_[i], members_[i]);
  }
  // Of the members that `is_in` calls `take(member)` with the one that the key belongs to, then
  // with those that follow on the ring, until it returns true or all were offered; some more than
  // once.
  template <typename IsIn, typename Take>
  void Find(uint64_t key, IsIn is_in, Take take) const {
    if (places_.empty()) return;
    const size_t start = Closest(key, is_in);
    uint32_t last = ~uint32_t{0};
    for (size_t i = 0; i < members_.size(); ++i) {
      const size_t at = start + i < members_.size() ? start + i : start + i - members_.size();
      if (members_[at] == last || !is_in(members_[at])) continue;
      last = members_[at];
      if (take(last)) return;
    }
  }

 private:
  template <typename IsIn>
  size_t Closest(uint64_t key, IsIn is_in) const {
    uint64_t best_distance = ~uint64_t{0};
    size_t best = 0;
    for (int i = 0; i < kProbes; ++i) {
      const uint64_t place = NthRandom(key, static_cast<uint64_t>(i));
      size_t at = FirstFrom(place);
      for (size_t passed = 0; passed < members_.size() && !is_in(members_[at]); ++passed)
        at = at + 1 < members_.size() ? at + 1 : 0;
      const uint64_t distance = places_[at] - place;  // wraps round the ring
      if (distance >= best_distance) continue;
      best_distance = distance;
      best = at;
    }
    return best;
  }
  size_t FirstFrom(uint64_t place) const;

  std::vector<uint64_t> places_;
  std::vector<uint32_t> members_;
  // For each value of a place's first bits the first index at or after it.
  std::vector<uint32_t> starts_;
  int shift_ = 63;
};

}  // namespace remuda::proxy
