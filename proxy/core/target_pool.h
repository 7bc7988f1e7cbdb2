// One worker's list of targets that requests may go to now, and what it needs to take one of them
// by each algorithm. Rebuilt when a target or its health changes; a pick allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "proxy/core/group_policy.h"
#include "proxy/core/hash_ring.h"
#include "proxy/core/smooth_turns.h"
#include "proxy/core/steady_time.h"

namespace remuda::proxy {

class GroupState;
class TargetState;

// Shares of a target's weight are in 1/kFullShare.
inline constexpr uint32_t kFullShare = 1024;

// The share of its weight that a target has which began to warm up at `begin`: linear, from a
// tenth.
uint32_t WarmShare(SteadyTime begin, std::chrono::nanoseconds slow_start, SteadyTime now);

// Where a member of a group sits while it may be picked.
struct Seat {
  static constexpr uint32_t kNoPool = ~uint32_t{0};
  uint32_t pool = kNoPool;
  uint32_t entry = 0;  // its index there
};

// What one pick must know beside the pool.
struct PoolRequest {
  std::span<TargetState* const> tried;  // not one of these
  SteadyTime now;
  uint64_t random = 0;
  uint64_t hash = 0;  // of the key, for CONSISTENT_HASH
  bool has_hash = false;
};

class TargetPool {
 public:
  // Up to so many, all are looked at for the least outstanding requests; of more, two.
  static constexpr size_t kMaxFullScan = 16;
  // Consistent hashing passes a target that has more than 5/4 of the mean in flight, but not for
  // so few as these: there it matters more that a key stays where it is.
  static constexpr uint64_t kUnboundedLoad = 8;

  // A rebuild: Clear, Add each, then, if requests are spread by hash, UseRing, then Prepare.
  void Clear();
  // Returns its index.
  uint32_t Add(TargetState* target, uint32_t weight);
  // `ring` holds the group's members; those whose seat says `id` are of this pool. Both stay until
  // the next rebuild. True if so few of them are that the pool needs a ring of its own: then
  // AddPoint each, by ascending place.
  bool UseRing(const HashRing& ring, std::span<const Seat> seats, uint32_t id);
  void AddPoint(uint64_t place, uint32_t member) { own_ring_.Add(place, member); }
  // `turn` is which of the group's shared turns this pool takes.
  void Prepare(const GroupPolicy& policy, size_t turn, SteadyTime now, uint64_t random);

  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  uint64_t total_weight() const { return total_weight_; }
  // Whether one of it is not in `tried`.
  bool HasOtherThan(std::span<TargetState* const> tried) const;
  // When the last of its targets has warmed up and it should be prepared again; max if none warms.
  SteadyTime settled_at() const { return settled_at_; }

  // One that is not in `request.tried` and not full, by the policy's algorithm; null if there is
  // none.
  TargetState* Pick(GroupState& group, const GroupPolicy& policy, const PoolRequest& request);
  // The one whose id has that hash, if Pick could take it. Looks at all.
  TargetState* Find(uint64_t id_hash, const GroupPolicy& policy, const PoolRequest& request) const;

 private:
  struct Entry {
    TargetState* target = nullptr;
    uint32_t weight = 1;
    bool is_warming = false;
    SteadyTime warm_begin{};
  };
  static constexpr uint32_t kNone = SmoothTurns::kNone;
  static constexpr size_t kMaxTurnLooks = 8;
  static constexpr size_t kMaxDraws = 8;
  // A lookup passes this many times as many points as are of the pool, at most.
  static constexpr size_t kMaxRingExcess = 8;

  bool Accepts(const Entry& entry, const GroupPolicy& policy, const PoolRequest& request) const;
  uint64_t WeightNow(const Entry& entry, const GroupPolicy& policy, SteadyTime now) const;
  uint32_t PickTurn(GroupState& group, const GroupPolicy& policy, const PoolRequest& request);
  uint32_t PickLeastOutstanding(GroupState& group, const GroupPolicy& policy,
                                const PoolRequest& request);
  uint32_t PickByHash(const GroupPolicy& policy, const PoolRequest& request);
  uint64_t LoadBound(uint32_t weight) const;
  uint32_t PickOfTwo(const GroupPolicy& policy, const PoolRequest& request) const;
  uint32_t PickRandom(const GroupPolicy& policy, const PoolRequest& request, uint64_t random) const;
  uint32_t Draw(uint64_t random) const;
  uint32_t ScanFrom(size_t start, const GroupPolicy& policy, const PoolRequest& request) const;

  std::vector<Entry> entries_;
  uint64_t total_weight_ = 0;
  size_t turn_ = 0;
  bool is_uniform_ = true;  // all weigh the same now
  SteadyTime settled_at_ = SteadyTime::max();
  SmoothTurns turns_;                   // if it is not uniform
  std::vector<uint64_t> weights_upto_;  // running sums, if it is not uniform
  const HashRing* ring_ = nullptr;
  HashRing own_ring_;
  std::span<const Seat> seats_;
  uint32_t id_ = Seat::kNoPool;
  // The requests in flight to all of it, counted now and then and moved on by each pick.
  uint64_t load_ = 0;
  size_t picks_until_count_ = 0;
};

}  // namespace remuda::proxy
