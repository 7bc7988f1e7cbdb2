#include "proxy/core/picker.h"

#include <algorithm>

namespace remuda::proxy {
namespace {

bool MayServe(const Member& member, int tier) {
  if (member.weight == 0) return false;
  const AdminState admin = member.target->admin();
  switch (tier) {
    case 0:
      return admin == AdminState::kActive && member.target->health() == Health::kHealthy &&
             !member.target->is_passively_out();
    case 1:
      return admin == AdminState::kActive;
    default:
      return admin == AdminState::kGone;
  }
}

// Fills `state.subsets` with the members that may serve at `tier`; false if there is none.
bool Fill(const TargetGroup& group, int tier, PickerState& state) {
  for (auto& subset : state.subsets) subset.members.clear();
  bool any = false;
  for (const Member& member : group.members) {
    PickerState::Subset& subset = state.subsets[member.subset];
    if (subset.weight == 0 || !MayServe(member, tier)) continue;
    subset.members.push_back({member.target.get(), member.weight, 0});
    any = true;
  }
  return any;
}

void Rebuild(GroupState& group_state, PickerState& state) {
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
  state.is_fail_open = false;
  if (!Fill(group, 0, state)) {
    state.is_fail_open = true;
    if (!Fill(group, 1, state)) Fill(group, 2, state);
  }
  for (auto& subset : state.subsets) {
    subset.is_uniform =
        std::all_of(subset.members.begin(), subset.members.end(),
                    [&](const auto& m) { return m.weight == subset.members.front().weight; });
  }
}

bool Contains(std::span<TargetState* const> tried, const TargetState* target) {
  return std::find(tried.begin(), tried.end(), target) != tried.end();
}

// One step of smooth weighted round robin over `items` that `usable` accepts: each gains its
// weight, the highest is taken and pays the total. Null if none is usable.
template <typename Item, typename Usable>
Item* TakeSmooth(std::vector<Item>& items, Usable usable) {
  Item* best = nullptr;
  int64_t total = 0;
  for (Item& item : items) {
    if (!usable(item)) continue;
    item.current += item.weight;
    total += item.weight;
    if (best == nullptr || item.current > best->current) best = &item;
  }
  if (best != nullptr) best->current -= total;
  return best;
}

TargetState* PickLeastOutstanding(PickerState::Subset& subset, uint64_t turn,
                                  std::span<TargetState* const> tried) {
  TargetState* best = nullptr;
  uint64_t best_load = 0;
  const size_t size = subset.members.size();
  for (size_t i = 0; i < size; ++i) {
    TargetState* target = subset.members[(turn + i) % size].target;
    if (Contains(tried, target)) continue;
    const uint64_t load = target->InFlight();
    if (best == nullptr || load < best_load) {
      best = target;
      best_load = load;
    }
    if (best_load == 0) break;
  }
  return best;
}

TargetState* PickMember(GroupState& state, PickerState::Subset& subset, Algorithm algorithm,
                        std::span<TargetState* const> tried) {
  if (algorithm == Algorithm::kLeastOutstanding) {
    return PickLeastOutstanding(subset, state.NextTurn(subset.index), tried);
  }
  if (!subset.is_uniform) {
    auto* member =
        TakeSmooth(subset.members, [&](const auto& m) { return !Contains(tried, m.target); });
    return member == nullptr ? nullptr : member->target;
  }
  const size_t size = subset.members.size();
  for (size_t i = 0; i < size; ++i) {
    TargetState* target = subset.members[state.NextTurn(subset.index) % size].target;
    if (!Contains(tried, target)) return target;
  }
  // Other workers may take the turns between ours: look at every one once.
  for (auto& member : subset.members) {
    if (!Contains(tried, member.target)) return member.target;
  }
  return nullptr;
}

bool HasOther(const PickerState::Subset& subset, std::span<TargetState* const> tried) {
  return std::any_of(subset.members.begin(), subset.members.end(),
                     [&](const auto& m) { return !Contains(tried, m.target); });
}

}  // namespace

bool IsPickerStale(GroupState& group, size_t worker) {
  const PickerState& state = group.picker(worker);
  return state.group != nullptr &&
         (state.serial != state.group->serial || state.version != group.version());
}

void RefreshPicker(GroupState& group, size_t worker) { Rebuild(group, group.picker(worker)); }

TargetState* PickTarget(GroupState& group_state, size_t worker, std::span<TargetState* const> tried,
                        bool allow_tried) {
  PickerState& state = group_state.picker(worker);
  if (state.group == nullptr) return nullptr;
  if (IsPickerStale(group_state, worker)) Rebuild(group_state, state);
  PickerState::Subset* subset = TakeSmooth(state.subsets, [&](const PickerState::Subset& s) {
    return !s.members.empty() && (tried.empty() || HasOther(s, tried));
  });
  if (subset != nullptr) return PickMember(group_state, *subset, state.group->algorithm, tried);
  if (tried.empty() || !allow_tried) return nullptr;
  return PickTarget(group_state, worker, {}, false);
}

}  // namespace remuda::proxy
