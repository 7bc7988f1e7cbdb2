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

// For the cookies that name them. One that may not be picked still says to which subset its clients
// belong.
void FillByHash(const TargetGroup& group, PickerState& state) {
  state.by_hash.clear();
  for (const uint32_t i : group.members_by_hash) {
    const Member& member = group.members[i];
    if (group.subsets[member.subset].weight == 0) continue;
    const bool may_be_picked = state.seats[i].pool != Seat::kNoPool;
    state.by_hash.push_back({member.target->id_hash(),
                             may_be_picked ? member.target.get() : nullptr,
                             static_cast<uint32_t>(member.subset)});
  }
}

// Healthy members of the subsets that are reached besides their share.
void FillDirect(const TargetGroup& group, PickerState& state) {
  state.direct.resize(group.direct_subsets.size());
  for (size_t n = 0; n < state.direct.size(); ++n) {
    PickerState::Direct& direct = state.direct[n];
    const size_t subset = group.direct_subsets[n];
    direct.key = SubsetKey(group.subsets[subset].name);
    direct.subset = static_cast<uint32_t>(subset);
    direct.pool.Clear();
    for (const Member& member : group.members) {
      if (member.subset == subset && (TiersOf(member) & kHealthy) != 0)
        direct.pool.Add(member.target.get(), std::max(1u, static_cast<uint32_t>(member.weight)));
    }
  }
}

void FillShares(const TargetGroup& group, PickerState& state) {
  state.shares.Clear();
  for (size_t i = 0; i < state.subsets.size(); ++i) {
    if (!state.subsets[i].empty()) {
      state.shares.Add(static_cast<uint32_t>(i), static_cast<uint32_t>(group.subsets[i].weight));
    }
  }
  state.shares.Build();
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
  state.serial = group.serial;
  state.subsets.resize(group.subsets.size());
  const Counts counts = Survey(group, state);
  state.is_fail_open = FailsOpen(counts, group.policy);
  for (size_t i = 0; i < state.subsets.size(); ++i)
    state.subsets[i].counts = group.subsets[i].state.get();
  // Where requests wait for a first target, one that has never passed a check is none.
  const bool is_known = counts.known > 0 || group.policy.hold.is_on();
  FillPools(group, !state.is_fail_open ? kHealthy : is_known ? kKnown : kActive, state);
  if (group.hash_ring != nullptr) FillRings(*group.hash_ring, state);
  FillByHash(group, state);
  FillDirect(group, state);
  FillShares(group, state);
  state.recheck_at = SteadyTime::max();
  for (size_t i = 0; i < state.subsets.size(); ++i) {
    PickerState::Subset& subset = state.subsets[i];
    uint64_t random = NthRandom(request.random, i);
    // Turns of their own: in a shared one each would get those that the share leaves over.
    size_t turn = 2 * i % GroupState::kSubsetTurns;
    for (TargetPool* pool : {&subset.own, &subset.others}) {
      pool->Prepare(group.policy, turn++, request.now, random = Mix(random));
      state.recheck_at = std::min(state.recheck_at, pool->settled_at());
    }
    subset.zone_share = ZoneShare(subset);
  }
  for (size_t n = 0; n < state.direct.size(); ++n) {
    TargetPool& pool = state.direct[n].pool;
    pool.Prepare(group.policy, GroupState::kSubsetTurns + n, request.now,
                 NthRandom(request.random, state.subsets.size() + n));
    state.recheck_at = std::min(state.recheck_at, pool.settled_at());
  }
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

constexpr uint32_t kNoSubset = SmoothShares::kNone;

// A target and what is counted of its subset.
struct Choice {
  TargetState* target = nullptr;
  SubsetState* subset = nullptr;
};

// What all looks of one pick have in common.
struct Looks {
  PoolRequest pool;
  bool takes_turn = false;    // of the group: the request has none yet
  uint32_t side = kNoSubset;  // that of the target which the client stays with
};

Choice PickFrom(uint32_t at, GroupState& group, PickerState& state, const Looks& looks) {
  PickerState::Subset& subset = state.subsets[at];
  return {PickFromSubset(group, subset, state.group->policy, looks.pool), subset.counts};
}

// All of subset `at` was tried or is full: one of the others in proportion.
Choice PickFromOthers(uint32_t at, GroupState& group, PickerState& state, const Looks& looks) {
  for (PickerState::Subset& subset : state.subsets) subset.is_passed = false;
  const auto is_passed = [&](uint32_t entry) { return state.subsets[entry].is_passed; };
  for (uint64_t n = 0; at != kNoSubset; ++n) {
    state.subsets[at].is_passed = true;
    at = state.shares.Draw(NthRandom(looks.pool.random, n), is_passed);
    if (at == kNoSubset) break;
    if (const Choice choice = PickFrom(at, group, state, looks); choice.target != nullptr)
      return choice;
  }
  return {};
}

Choice PickFromSubsets(GroupState& group, PickerState& state, Looks& looks) {
  const SmoothShares& shares = state.shares;
  uint32_t at = shares.only();
  const bool is_alone = at != kNoSubset;
  if (looks.side != kNoSubset && !state.subsets[looks.side].empty()) {
    at = looks.side;
  } else if (!is_alone) {
    if (shares.total() == 0) return {};
    at = shares.At(looks.takes_turn ? group.NextShare() : Scale(looks.pool.random, shares.total()));
    looks.takes_turn = false;
  }
  const Choice choice = PickFrom(at, group, state, looks);
  return choice.target != nullptr || is_alone ? choice : PickFromOthers(at, group, state, looks);
}

// The one that the client stays with, if it is known; without a target if that may not be picked.
struct Sticky {
  TargetState* target = nullptr;
  uint32_t subset = kNoSubset;
};
Sticky FindSticky(const PickerState& state, const PickRequest& request) {
  const auto it =
      std::lower_bound(state.by_hash.begin(), state.by_hash.end(), request.sticky_target,
                       [](const auto& known, uint64_t hash) { return known.id_hash < hash; });
  if (it == state.by_hash.end() || it->id_hash != request.sticky_target) return {};
  TargetState* const target = it->target;
  const uint32_t max_requests = state.group->policy.limit.max_requests;
  const bool may_be_picked =
      target != nullptr &&
      std::find(request.tried.begin(), request.tried.end(), target) == request.tried.end() &&
      !(max_requests > 0 && target->IsFull(max_requests));
  return {may_be_picked ? target : nullptr, it->subset};
}

template <typename State>  // const or not
auto* FindDirect(State& state, uint64_t key) {
  const auto it = std::find_if(state.direct.begin(), state.direct.end(),
                               [&](const auto& direct) { return direct.key == key; });
  return it == state.direct.end() ? nullptr : &*it;
}

// Of the subset that it asks for: the one that the client stays with if it is of that, or any.
Choice PickPreview(GroupState& group, PickerState& state, const PickRequest& request,
                   const PoolRequest& pool) {
  PickerState::Direct* const direct = FindDirect(state, request.preview);
  if (direct == nullptr) return {};
  const GroupPolicy& policy = state.group->policy;
  TargetState* target =
      request.sticky_target == 0 ? nullptr : direct->pool.Find(request.sticky_target, policy, pool);
  if (target == nullptr) target = direct->pool.Pick(group, policy, pool);
  return {target, state.group->subsets[direct->subset].state.get()};
}

Choice PickAny(GroupState& group, PickerState& state, const PickRequest& request, bool is_first) {
  Looks looks{{request.tried, request.now, request.random, request.hash, request.has_hash},
              is_first && request.tried.empty()};
  if (request.preview != 0) {
    const Choice preview = PickPreview(group, state, request, looks.pool);
    if (preview.target != nullptr) return preview;
  }
  if (request.sticky_target != 0) {
    const Sticky sticky = FindSticky(state, request);
    if (sticky.target != nullptr) return {sticky.target, state.subsets[sticky.subset].counts};
    looks.side = sticky.subset;
  }
  Choice choice = PickFromSubsets(group, state, looks);
  if (choice.target == nullptr && request.allow_tried && !request.tried.empty()) {
    looks.pool.tried = {};
    if (request.preview != 0) choice = PickPreview(group, state, request, looks.pool);
    if (choice.target == nullptr) choice = PickFromSubsets(group, state, looks);
  }
  return choice;
}

bool HasOtherThan(const PickerState& state, const PickRequest& request,
                  std::span<TargetState* const> tried) {
  const auto* const direct = FindDirect(state, request.preview);
  if (direct != nullptr && direct->pool.HasOtherThan(tried)) return true;
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
  const auto picked = [&](const Choice& choice, InLoad in_load) {
    return Picked{.target = choice.target,
                  .is_fail_open = state.is_fail_open,
                  .in_load = in_load,
                  .subset = choice.subset};
  };
  const uint32_t max_requests = state.group->policy.limit.max_requests;
  for (int i = 0; max_requests > 0; ++i) {
    // Between the look and the taking another worker may have taken the last place.
    const Choice choice = PickAny(group, state, request, i == 0);
    const bool is_taken = choice.target != nullptr && choice.target->TakePlace(max_requests);
    if (is_taken) return picked(choice, InLoad::kPlaced);
    if (choice.target == nullptr || i == kMaxPlaceTries) {
      const auto excluded = request.allow_tried ? std::span<TargetState* const>() : request.tried;
      return {.is_fail_open = state.is_fail_open,
              .is_full = HasOtherThan(state, request, excluded)};
    }
  }
  return picked(PickAny(group, state, request, true),
                state.group->policy.UsesLoad() ? InLoad::kNotYet : InLoad::kNever);
}

Picked PickMirror(GroupState& group, const PickRequest& request, const SubsetState* taken_by) {
  PickerState& state = group.picker(request.worker);
  if (state.group == nullptr) return {};
  if (IsPickerStale(group, request)) RefreshPicker(group, request);
  const MirrorSpec& mirror = state.group->mirror;
  PickerState::Direct* const direct = FindDirect(state, mirror.subset_key);
  if (mirror.percent == 0 || direct == nullptr || direct->pool.empty()) return {};
  SubsetState* const subset = state.group->subsets[direct->subset].state.get();
  if (subset == taken_by) return {};
  if (group.NextMirror() % 100 * mirror.percent % 100 + mirror.percent < 100) return {};
  const PoolRequest wanted{{}, request.now, request.random};
  return {.target = direct->pool.Pick(group, state.group->policy, wanted), .subset = subset};
}

bool HasUntried(GroupState& group, const PickRequest& request) {
  PickerState& state = group.picker(request.worker);
  if (state.group == nullptr) return false;
  if (IsPickerStale(group, request)) RefreshPicker(group, request);
  return HasOtherThan(state, request, request.tried);
}

}  // namespace remuda::proxy
