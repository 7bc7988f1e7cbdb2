#include "proxy/core/picker.h"

#include <algorithm>
#include <utility>

#include "proxy/core/mix.h"

namespace remuda::proxy {
namespace {

// Which members may serve, from the best to the last resort. Known ones have passed a check once;
// one that never has may not listen yet.
enum Tier : uint8_t { kHealthy = 1, kKnown = 2, kActive = 4 };

// By the state that the worker's own table says: one in which old targets leave but new ones are
// not there yet would have nobody. One whose process is gone is in no tier: its port may be
// another's by now.
uint8_t TiersOf(const Member& member) {
  if (member.admin != AdminState::kActive) return 0;
  if (member.target->is_healthy()) return kHealthy | kKnown | kActive;
  return member.target->has_passed() ? kKnown | kActive : kActive;
}

struct Counts {
  size_t healthy = 0;
  size_t known = 0;
  size_t active = 0;
};

// Looks at each member once, so that a change by another thread meanwhile cannot split the picture.
Counts Survey(const TargetGroup& group, PickerState& state) {
  Counts counts;
  state.tiers.resize(group.members.size());
  for (size_t i = 0; i < group.members.size(); ++i) {
    const Member& member = group.members[i];
    const bool is_served = member.weight > 0 && group.subsets[member.subset].weight > 0;
    const uint8_t tiers = is_served ? TiersOf(member) : 0;
    state.tiers[i] = tiers;
    counts.healthy += (tiers & kHealthy) != 0;
    counts.known += (tiers & kKnown) != 0;
    counts.active += (tiers & kActive) != 0;
  }
  return counts;
}

bool FailsOpen(const Counts& counts, const GroupPolicy& policy) {
  return counts.healthy < std::max<size_t>(policy.minimum_healthy_count, 1) ||
         counts.healthy * 100 < counts.active * policy.minimum_healthy_percent;
}

// Pools by number: two a subset.
TargetPool& PoolOf(uint32_t id, PickerState& state) {
  PickerState::Subset& subset = state.subsets[id / 2];
  return id % 2 == 0 ? subset.own : subset.others;
}

void FillPools(const TargetGroup& group, uint8_t tier, PickerState& state) {
  // Failing open, every target counts.
  const bool by_zone = group.policy.prefers_own_zone && tier == kHealthy;
  for (auto& subset : state.subsets) {
    subset.own.Clear();
    subset.others.Clear();
    subset.own_weight = 0;
  }
  state.seats.resize(group.members.size());
  for (size_t i = 0; i < group.members.size(); ++i) {
    const Member& member = group.members[i];
    const auto weight = static_cast<uint32_t>(member.weight);
    const bool is_own = by_zone && member.is_own_zone;
    if (is_own && (state.tiers[i] & kActive) != 0)
      state.subsets[member.subset].own_weight += weight;
    Seat& seat = state.seats[i];
    seat.pool = Seat::kNoPool;
    if ((state.tiers[i] & tier) == 0) continue;
    seat.pool = static_cast<uint32_t>(member.subset * 2 + (is_own ? 0 : 1));
    seat.entry = PoolOf(seat.pool, state).Add(member.target.get(), weight);
  }
}

void FillRings(const HashRing& ring, PickerState& state) {
  std::vector<bool> is_sparse(state.subsets.size() * 2);
  for (uint32_t id = 0; id < is_sparse.size(); ++id)
    is_sparse[id] = PoolOf(id, state).UseRing(ring, state.seats, id);
  if (std::find(is_sparse.begin(), is_sparse.end(), true) == is_sparse.end()) return;
  ring.ForEach([&](uint64_t place, uint32_t member) {
    const uint32_t id = state.seats[member].pool;
    if (id != Seat::kNoPool && is_sparse[id]) PoolOf(id, state).AddPoint(place, member);
  });
}

// Those that may be picked, for the cookies that name them.
void FillByHash(const TargetGroup& group, PickerState& state) {
  state.by_hash.clear();
  for (const uint32_t i : group.members_by_hash) {
    TargetState* const target = group.members[i].target.get();
    if (state.seats[i].pool != Seat::kNoPool) state.by_hash.emplace_back(target->id_hash(), target);
  }
}

// What of a subset's requests stays in the proxy's own zone: all while 5/7 of its weight there is
// healthy, then in proportion (Envoy's overprovisioning factor of 1.4).
int64_t ZoneShare(const PickerState::Subset& subset) {
  if (subset.own.empty()) return 0;
  if (subset.others.empty()) return kWholeZoneShare;
  return std::min<int64_t>(kWholeZoneShare * 7 * static_cast<int64_t>(subset.own.total_weight()) /
                               (5 * static_cast<int64_t>(subset.own_weight)),
                           kWholeZoneShare);
}

void Rebuild(GroupState& group_state, PickerState& state, const PickRequest& request) {
  const TargetGroup& group = *state.group;
  state.version = group_state.version();
  if (state.serial != group.serial) {
    // Smooth weights go on over a change of targets, as long as the subsets are the same.
    state.subsets.resize(group.subsets.size());
    for (size_t i = 0; i < group.subsets.size(); ++i) {
      PickerState::Subset& subset = state.subsets[i];
      if (subset.index != i || subset.weight != group.subsets[i].weight) subset.current = 0;
      subset.index = i;
      subset.weight = group.subsets[i].weight;
    }
    state.serial = group.serial;
  }
  const Counts counts = Survey(group, state);
  state.is_fail_open = FailsOpen(counts, group.policy);
  FillPools(group, !state.is_fail_open ? kHealthy : counts.known > 0 ? kKnown : kActive, state);
  if (group.hash_ring != nullptr) FillRings(*group.hash_ring, state);
  FillByHash(group, state);
  state.recheck_at = SteadyTime::max();
  for (auto& subset : state.subsets) {
    uint64_t random = NthRandom(request.random, subset.index);
    // Turns of their own: in a shared one each would get those that the share leaves over.
    size_t turn = 2 * subset.index;
    for (TargetPool* pool : {&subset.own, &subset.others}) {
      pool->Prepare(group.policy, turn++, request.now, random = Mix(random));
      state.recheck_at = std::min(state.recheck_at, pool->settled_at());
    }
    subset.zone_share = ZoneShare(subset);
  }
}

// The subset whose turn it is among those with targets that this pick has not passed: each gains
// its weight, the highest is taken and pays the total. Null if there is none.
PickerState::Subset* TakeSubset(PickerState& state) {
  PickerState::Subset* best = nullptr;
  int64_t total = 0;
  for (PickerState::Subset& subset : state.subsets) {
    if (subset.empty() || subset.passed_in == state.picks) continue;
    subset.current += subset.weight;
    total += subset.weight;
    if (best == nullptr || subset.current > best->current) best = &subset;
  }
  if (best != nullptr) best->current -= total;
  return best;
}

// Own zone or others by the share; the one if the other has none to give.
TargetState* PickFromSubset(GroupState& group, PickerState::Subset& subset,
                            const GroupPolicy& policy, const PoolRequest& request) {
  if (subset.own.empty()) return subset.others.Pick(group, policy, request);
  bool is_own = subset.zone_share == kWholeZoneShare;
  const bool by_key = request.has_hash && policy.algorithm == Algorithm::kConsistentHash;
  if (!is_own && by_key) {  // a key belongs to one of both
    is_own = Scale(Mix(request.hash), kWholeZoneShare) < static_cast<uint64_t>(subset.zone_share);
  } else if (!is_own) {
    subset.zone_current += subset.zone_share;
    is_own = subset.zone_current >= kWholeZoneShare;
    if (is_own) subset.zone_current -= kWholeZoneShare;
  }
  TargetPool& first = is_own ? subset.own : subset.others;
  TargetPool& second = is_own ? subset.others : subset.own;
  TargetState* const target = first.Pick(group, policy, request);
  return target != nullptr ? target : second.Pick(group, policy, request);
}

TargetState* PickFromSubsets(GroupState& group, PickerState& state, const PoolRequest& request) {
  ++state.picks;
  while (PickerState::Subset* subset = TakeSubset(state)) {
    if (TargetState* target = PickFromSubset(group, *subset, state.group->policy, request))
      return target;
    subset->passed_in = state.picks;  // all of it was tried or is full
  }
  return nullptr;
}

// The one that the client stays with, if it may be picked.
TargetState* PickSticky(const PickerState& state, const PickRequest& request) {
  const auto it =
      std::lower_bound(state.by_hash.begin(), state.by_hash.end(), request.sticky_target,
                       [](const auto& entry, uint64_t hash) { return entry.first < hash; });
  if (it == state.by_hash.end() || it->first != request.sticky_target) return nullptr;
  const bool is_tried =
      std::find(request.tried.begin(), request.tried.end(), it->second) != request.tried.end();
  const uint32_t max_requests = state.group->policy.limit.max_requests;
  const bool is_full = max_requests > 0 && it->second->IsFull(max_requests);
  return is_tried || is_full ? nullptr : it->second;
}

TargetState* PickAny(GroupState& group, PickerState& state, const PickRequest& request) {
  if (request.sticky_target != 0) {
    if (TargetState* target = PickSticky(state, request)) return target;
  }
  PoolRequest wanted{request.tried, request.now, request.random, request.hash, request.has_hash};
  TargetState* target = PickFromSubsets(group, state, wanted);
  if (target == nullptr && request.allow_tried && !request.tried.empty()) {
    wanted.tried = {};
    target = PickFromSubsets(group, state, wanted);
  }
  return target;
}

bool HasOtherThan(const PickerState& state, std::span<TargetState* const> tried) {
  return std::any_of(state.subsets.begin(), state.subsets.end(), [&](const auto& subset) {
    return subset.own.HasOtherThan(tried) || subset.others.HasOtherThan(tried);
  });
}

constexpr int kMaxPlaceTries = 4;

}  // namespace

void AdoptGroup(size_t worker, const TargetGroup& group) {
  PickerState& state = group.state->picker(worker);
  const TargetGroup* const before = std::exchange(state.group, &group);
  // Targets that are new share their load, or not, from their first request on.
  if (before == nullptr || before->policy.UsesLoad() == group.policy.UsesLoad()) return;
  for (const Member& member : group.members)
    member.target->ShareLoad(worker, group.policy.UsesLoad());
}

bool IsPickerStale(GroupState& group, const PickRequest& request) {
  const PickerState& state = group.picker(request.worker);
  return state.group != nullptr &&
         (state.serial != state.group->serial || state.version != group.version() ||
          request.now >= state.recheck_at);
}

void RefreshPicker(GroupState& group, const PickRequest& request) {
  Rebuild(group, group.picker(request.worker), request);
}

Picked PickTarget(GroupState& group, const PickRequest& request) {
  PickerState& state = group.picker(request.worker);
  if (state.group == nullptr) return {};
  if (IsPickerStale(group, request)) RefreshPicker(group, request);
  const uint32_t max_requests = state.group->policy.limit.max_requests;
  for (int i = 0; max_requests > 0; ++i) {
    // Between the look and the taking another worker may have taken the last place.
    TargetState* const target = PickAny(group, state, request);
    const bool is_taken = target != nullptr && target->TakePlace(max_requests);
    if (is_taken) return {target, state.is_fail_open, InLoad::kPlaced};
    if (target == nullptr || i == kMaxPlaceTries) {
      const auto excluded = request.allow_tried ? std::span<TargetState* const>() : request.tried;
      return {nullptr, state.is_fail_open, InLoad::kNever, HasOtherThan(state, excluded)};
    }
  }
  return {PickAny(group, state, request), state.is_fail_open,
          state.group->policy.UsesLoad() ? InLoad::kNotYet : InLoad::kNever};
}

bool HasUntried(GroupState& group, const PickRequest& request) {
  PickerState& state = group.picker(request.worker);
  if (state.group == nullptr) return false;
  if (IsPickerStale(group, request)) RefreshPicker(group, request);
  return HasOtherThan(state, request.tried);
}

}  // namespace remuda::proxy
