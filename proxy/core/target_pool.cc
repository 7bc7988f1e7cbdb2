#include "proxy/core/target_pool.h"

#include <algorithm>

#include "proxy/core/mix.h"
#include "proxy/core/target_state.h"

namespace remuda::proxy {
namespace {

constexpr uint32_t kLeastWarmShare = kFullShare / 10;

bool NeedsTurns(Algorithm algorithm, size_t size) {
  return algorithm != Algorithm::kWeightedRandom &&
         !(algorithm == Algorithm::kLeastOutstanding && size > TargetPool::kMaxFullScan);
}

}  // namespace

uint32_t WarmShare(SteadyTime begin, std::chrono::nanoseconds slow_start, SteadyTime now) {
  const auto elapsed = now - begin;
  if (elapsed >= slow_start) return kFullShare;
  if (elapsed.count() <= 0) return kLeastWarmShare;
  const auto share = static_cast<uint32_t>(kFullShare * elapsed.count() / slow_start.count());
  return std::max(share, kLeastWarmShare);
}

void TargetPool::Clear() {
  entries_.clear();
  turns_.Clear();
  weights_upto_.clear();
  ring_ = nullptr;
  own_ring_.Clear();
  picks_until_count_ = 0;
  total_weight_ = 0;
  settled_at_ = SteadyTime::max();
}

bool TargetPool::HasOtherThan(std::span<TargetState* const> tried) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return std::find(tried.begin(), tried.end(), entry.target) == tried.end();
  });
}

uint32_t TargetPool::Add(TargetState* target, uint32_t weight) {
  entries_.push_back({target, weight, false, {}});
  total_weight_ += weight;
  return static_cast<uint32_t>(entries_.size() - 1);
}

bool TargetPool::UseRing(const HashRing& ring, std::span<const Seat> seats, uint32_t id) {
  const bool is_sparse = !entries_.empty() && entries_.size() * kMaxRingExcess < seats.size();
  ring_ = is_sparse ? &own_ring_ : &ring;
  seats_ = seats;
  id_ = id;
  return is_sparse;
}

void TargetPool::Prepare(const GroupPolicy& policy, size_t turn, SteadyTime now, uint64_t random) {
  turn_ = turn;
  if (ring_ == &own_ring_) own_ring_.Build();
  bool any_warming = false;
  if (policy.slow_start.count() > 0) {
    for (Entry& entry : entries_) {
      entry.warm_begin = entry.target->warm_begin();
      const SteadyTime end = entry.warm_begin + policy.slow_start;
      entry.is_warming = entry.warm_begin != SteadyTime() && end > now;
      if (!entry.is_warming) continue;
      settled_at_ = any_warming ? std::max(settled_at_, end) : end;
      any_warming = true;
    }
  }
  is_uniform_ = !any_warming && std::all_of(entries_.begin(), entries_.end(), [&](const Entry& e) {
    return e.weight == entries_.front().weight;
  });
  if (is_uniform_) return;
  if (NeedsTurns(policy.algorithm, entries_.size())) {
    for (size_t i = 0; i < entries_.size(); ++i)
      turns_.Add(static_cast<uint32_t>(i), WeightNow(entries_[i], policy, now),
                 NthRandom(random, i));
    turns_.Build();
  } else {
    uint64_t sum = 0;
    for (const Entry& entry : entries_) weights_upto_.push_back(sum += entry.weight);
  }
}

bool TargetPool::Accepts(const Entry& entry, const GroupPolicy& policy,
                         const PoolRequest& request) const {
  for (const TargetState* tried : request.tried) {
    if (tried == entry.target) return false;
  }
  return policy.limit.max_requests == 0 || !entry.target->IsFull(policy.limit.max_requests);
}

uint64_t TargetPool::WeightNow(const Entry& entry, const GroupPolicy& policy,
                               SteadyTime now) const {
  const uint32_t share =
      entry.is_warming ? WarmShare(entry.warm_begin, policy.slow_start, now) : kFullShare;
  return static_cast<uint64_t>(entry.weight) * share;
}

TargetState* TargetPool::Pick(GroupState& group, const GroupPolicy& policy,
                              const PoolRequest& request) {
  if (entries_.empty()) return nullptr;
  uint32_t picked = kNone;
  switch (policy.algorithm) {
    case Algorithm::kRoundRobin:
      picked = PickTurn(group, policy, request);
      break;
    case Algorithm::kConsistentHash:
      picked = request.has_hash ? PickByHash(policy, request) : PickTurn(group, policy, request);
      break;
    case Algorithm::kLeastOutstanding:
      picked = entries_.size() > kMaxFullScan ? PickOfTwo(policy, request)
                                              : PickLeastOutstanding(group, policy, request);
      break;
    case Algorithm::kWeightedRandom:
      picked = PickRandom(policy, request, request.random);
      break;
  }
  // The few that the algorithm looked at were tried or full.
  if (picked == kNone)
    picked = ScanFrom(Scale(NthRandom(request.random, 99), entries_.size()), policy, request);
  return picked == kNone ? nullptr : entries_[picked].target;
}

TargetState* TargetPool::Find(uint64_t id_hash, const GroupPolicy& policy,
                              const PoolRequest& request) const {
  for (const Entry& entry : entries_) {
    if (entry.target->id_hash() == id_hash)
      return Accepts(entry, policy, request) ? entry.target : nullptr;
  }
  return nullptr;
}

uint32_t TargetPool::PickTurn(GroupState& group, const GroupPolicy& policy,
                              const PoolRequest& request) {
  if (!is_uniform_) {
    return turns_.Take([&](uint32_t i) { return Accepts(entries_[i], policy, request); },
                       [&](uint32_t i) { return WeightNow(entries_[i], policy, request.now); });
  }
  const size_t looks = std::min(entries_.size(), kMaxTurnLooks);
  for (size_t i = 0; i < looks; ++i) {
    const auto at = static_cast<uint32_t>(group.NextTurn(turn_) % entries_.size());
    if (Accepts(entries_[at], policy, request)) return at;
  }
  return kNone;
}

// The turn's own target unless another has fewer in flight for its weight: idle ones are used by
// their weights.
uint32_t TargetPool::PickLeastOutstanding(GroupState& group, const GroupPolicy& policy,
                                          const PoolRequest& request) {
  const uint32_t first = PickTurn(group, policy, request);
  if (first == kNone) return kNone;
  uint32_t best = first;
  uint64_t best_load = entries_[best].target->load();
  uint64_t best_weight = WeightNow(entries_[best], policy, request.now);
  for (size_t i = 1; i < entries_.size() && best_load > 0; ++i) {
    const auto at = static_cast<uint32_t>((first + i) % entries_.size());
    const uint64_t load = entries_[at].target->load();
    const uint64_t weight = WeightNow(entries_[at], policy, request.now);
    if (load * best_weight >= best_load * weight) continue;
    if (!Accepts(entries_[at], policy, request)) continue;
    best = at;
    best_load = load;
    best_weight = weight;
  }
  return best;
}

// The most that one of this weight may have in flight: 5/4 of its share, rounded up.
uint64_t TargetPool::LoadBound(uint32_t weight) const {
  const uint64_t whole = (load_ + 1) * 5 * weight;
  const uint64_t parts = total_weight_ * 4;
  return std::max((whole + parts - 1) / parts, kUnboundedLoad);
}

// The first on the key's way along the ring that is neither tried, full nor over its bound. One
// that warms up takes the part of its keys that its share says, always the same.
uint32_t TargetPool::PickByHash(const GroupPolicy& policy, const PoolRequest& request) {
  if (picks_until_count_ == 0) {  // costs one look a pick
    load_ = 0;
    for (const Entry& entry : entries_) load_ += entry.target->load();
    picks_until_count_ = entries_.size();
  }
  --picks_until_count_;
  uint32_t picked = kNone;
  uint32_t refused = kNone;
  if (ring_ == nullptr) return kNone;
  const auto is_in = [&](uint32_t member) { return seats_[member].pool == id_; };
  ring_->Find(request.hash, is_in, [&](uint32_t member) {
    const uint32_t at = seats_[member].entry;
    const Entry& entry = entries_[at];
    if (!Accepts(entry, policy, request)) return false;
    const bool is_over = entry.target->load() >= LoadBound(entry.weight);
    const bool is_cold =
        entry.is_warming && Mix(request.hash ^ entry.target->id_hash()) % kFullShare >=
                                WarmShare(entry.warm_begin, policy.slow_start, request.now);
    if (is_over || is_cold) {
      if (refused == kNone) refused = at;
      return false;
    }
    picked = at;
    return true;
  });
  ++load_;
  return picked != kNone ? picked : refused;
}

uint32_t TargetPool::PickOfTwo(const GroupPolicy& policy, const PoolRequest& request) const {
  const uint32_t a = PickRandom(policy, request, request.random);
  const uint32_t b = PickRandom(policy, request, NthRandom(request.random, 1));
  if (a == kNone || b == kNone || a == b) return a == kNone ? b : a;
  const uint64_t load_a = entries_[a].target->load() * entries_[b].weight;
  const uint64_t load_b = entries_[b].target->load() * entries_[a].weight;
  return load_b < load_a ? b : a;
}

// By weight; one that warms up is taken with the probability of its share.
uint32_t TargetPool::PickRandom(const GroupPolicy& policy, const PoolRequest& request,
                                uint64_t random) const {
  uint32_t refused = kNone;
  for (size_t i = 0; i < kMaxDraws; ++i) {
    random = NthRandom(random, i);
    const uint32_t at = Draw(random);
    const Entry& entry = entries_[at];
    if (!Accepts(entry, policy, request)) continue;
    uint64_t share = entry.target->share();
    if (entry.is_warming)
      share = share * WarmShare(entry.warm_begin, policy.slow_start, request.now) / kFullShare;
    if (share >= kFullShare || Mix(random) % kFullShare < share) return at;
    refused = at;
  }
  return refused;
}

uint32_t TargetPool::Draw(uint64_t random) const {
  if (is_uniform_ || weights_upto_.empty())
    return static_cast<uint32_t>(Scale(random, entries_.size()));
  const uint64_t at = Scale(random, total_weight_);
  return static_cast<uint32_t>(std::upper_bound(weights_upto_.begin(), weights_upto_.end(), at) -
                               weights_upto_.begin());
}

uint32_t TargetPool::ScanFrom(size_t start, const GroupPolicy& policy,
                              const PoolRequest& request) const {
  for (size_t i = 0; i < entries_.size(); ++i) {
    const size_t at = (start + i) % entries_.size();
    if (Accepts(entries_[at], policy, request)) return static_cast<uint32_t>(at);
  }
  return kNone;
}

}  // namespace remuda::proxy
