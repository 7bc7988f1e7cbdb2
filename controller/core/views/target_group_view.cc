#include "controller/core/views/target_group_view.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "controller/core/model/capacity.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/draft.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/request_hold.h"
#include "controller/core/model/subset_name.h"
#include "controller/core/reconcile/health.h"

namespace remuda::core {
namespace {

// Subsets that a traffic split can name (TrafficSplit.subsets).
constexpr size_t kMaxSubsets = 16;
// SubsetWeight.weight.
constexpr int64_t kMaxSubsetWeight = 10'000;
// What the subsets of a target group become where they are more: those that take requests, and
// those that do not. Their own names hold a slash.
constexpr char kAllThatServe[] = "serving";
constexpr char kAllOthers[] = "standing-by";

// While weights are computed: times itself it is within 64 bits.
constexpr int64_t kMaxWeightBetween = 1'000'000;
constexpr int kWholePercent = 100;

// Whether proxies know the instance's target. Once its process has been seen running and no hook
// holds it, until it is stopped or gone, or stands by.
bool IsTarget(const v1::Instance& row) {
  if (!row.has_start_time() || row.port() == 0 || !row.lifecycle_actions().empty()) return false;
  if (row.state() == v1::INSTANCE_STATE_DRAINING) return true;
  // Its hooks may have been abandoned.
  if (LifeOf(row) == v1::INSTANCE_STATE_PENDING_WAIT) return false;
  return (IsUp(row.state()) || row.state() == v1::INSTANCE_STATE_UNKNOWN) && !IsApart(row);
}

proxy::v1::Target TargetOf(const Draft& draft, const Observations& seen,
                           std::string_view target_group, const std::string& id,
                           const v1::Instance& row) {
  proxy::v1::Target target;
  target.set_target_group(std::string(target_group));
  target.set_id(id);
  target.set_address(row.address());
  target.set_port(row.port());
  target.set_subset(SubsetOf(row.auto_scaling_group(), row.launch_template()));
  if (const auto host = draft.Find<v1::Host>(row.host()); host != nullptr)
    target.set_zone(host->zone());
  target.set_state(proxy::v1::Target::STATE_ACTIVE);
  if (row.state() == v1::INSTANCE_STATE_DRAINING) {
    target.set_state(proxy::v1::Target::STATE_DRAINING);
  }
  if (ProcessOf(seen, id, row).process == Process::kEnded) {
    target.set_state(proxy::v1::Target::STATE_GONE);
  }
  return target;
}

using Shown = TargetGroupChange::Shown;

// What the instance's target is and counts for; nullopt if it is none. Its weight may hang on the
// others of its subset.
std::optional<Shown> ShownOf(const Draft& draft, const Observations& seen,
                             std::string_view target_group, const std::string& id,
                             const v1::Instance& row) {
  if (!IsTarget(row)) return std::nullopt;
  Shown out{.target = TargetOf(draft, seen, target_group, id, row), .share = {}};
  const bool active = out.target.state() == proxy::v1::Target::STATE_ACTIVE;
  if (IsWithheld(row)) {
    out.share.is_withheld = active;
  } else if (row.state() != v1::INSTANCE_STATE_DRAINING) {
    out.share.serves = true;
    out.share.active = active;
    out.share.in_service = active && IsServing(row);
  }
  return out;
}

// The same of one that is registered by hand.
Shown ShownOf(std::string_view target_group, std::string id, const v1::Target& row) {
  Shown out;
  out.target.set_target_group(std::string(target_group));
  out.target.set_id(std::move(id));
  out.target.set_address(row.address());
  out.target.set_port(row.port());
  out.target.set_zone(row.zone());
  const int weight = row.has_weight() ? row.weight() : 1;
  if (weight != 1) out.target.set_weight(weight);
  const bool draining = row.state() == v1::TARGET_STATE_DRAINING;
  out.target.set_state(draining ? proxy::v1::Target::STATE_DRAINING
                                : proxy::v1::Target::STATE_ACTIVE);
  out.share.serves = true;
  out.share.active = out.share.in_service = draining ? 0 : weight;
  return out;
}

bool IsOf(const v1::AutoScalingGroup& group, std::string_view target_group) {
  const auto& ids = group.target_groups();
  return std::find(ids.begin(), ids.end(), target_group) != ids.end();
}

bool IsHttp(const v1::TargetGroup& row) {
  return row.protocol() != v1::PROTOCOL_TCP && row.protocol() != v1::PROTOCOL_TLS;
}

// The group's own row without where its targets come from, which is nothing to proxies, but that
// requests wait where a group that rests at zero serves: else the
// first of them would be lost, and with it the wish to wake.
v1::TargetGroup RowOf(const State& state, std::string_view target_group,
                      const v1::TargetGroup& row) {
  v1::TargetGroup out = row;
  out.clear_targets();
  if (row.has_request_hold() || !IsHttp(row)) return out;
  for (const auto& [id, group] : state.All<v1::AutoScalingGroup>()) {
    if (!group->has_from_zero() || !IsOf(*group, target_group)) continue;
    FillRequestHold(*out.mutable_request_hold());
    break;
  }
  return out;
}

// As the state has it.
std::optional<Shown> ShownOf(const Draft& draft, const Observations& seen,
                             std::string_view target_group, const std::string& id) {
  if (const auto instance = draft.Find<v1::Instance>(id); instance != nullptr) {
    const auto group = draft.Find<v1::AutoScalingGroup>(instance->auto_scaling_group());
    if (group != nullptr && IsOf(*group, target_group) && !IsKeptFromBalancer(*group, *instance)) {
      return ShownOf(draft, seen, target_group, id, *instance);
    }
  }
  const auto by_hand = draft.Find<v1::Target>(TargetKey(target_group, id));
  if (by_hand == nullptr) return std::nullopt;
  return ShownOf(target_group, id, *by_hand);
}

void Add(std::string id, Shown shown, TargetGroupView& view) {
  const auto [it, is_new] = view.targets.emplace(std::move(id), std::move(shown.target));
  if (!is_new) return;
  view.subsets[it->second.subset()].Count(shown.share, 1);
  view.shares.emplace(it->first, shown.share);
}

void AddByHand(const Draft& draft, std::string_view target_group, TargetGroupView& view) {
  const std::string prefix = TargetKey(target_group, "");
  draft.ForEachFrom<v1::Target>(prefix, [&](const std::string& key, const v1::Target& row) {
    if (key.compare(0, prefix.size(), prefix) != 0) return false;
    const std::string id = key.substr(prefix.size());
    Add(id, ShownOf(target_group, id, row), view);
    return true;
  });
}

// Those that wait beside others of their version that serve already take nothing.
void SetWeight(const SubsetTotal& subset, const TargetShare& share, proxy::v1::Target& target) {
  if (share.is_withheld && subset.serves()) target.set_weight(0);
}

const GroupSplit* SplitWith(const GroupSplits& splits, std::string_view subset) {
  for (const GroupSplit& split : splits) {
    if (subset.substr(0, split.prefix.size()) == split.prefix) return &split;
  }
  return nullptr;
}

// The name under which a subset is told where there are too many of them. Those of a group of which
// each side has a part are not mixed with others.
std::string MergedName(const GroupSplits& splits, const std::string& subset, bool serves) {
  const GroupSplit* split = SplitWith(splits, subset);
  if (split != nullptr && split->percent > 0 && serves) {
    return subset == split->new_subset ? subset : split->prefix + kAllThatServe;
  }
  return serves ? kAllThatServe : kAllOthers;
}

// More subsets than a split can name become few. Nothing is lost: several that serve weigh as many
// as they have targets, so that each target gets the same share, and so it does as one of one
// subset.
SubsetTotals Merged(const GroupSplits& splits, const SubsetTotals& subsets) {
  SubsetTotals merged;
  for (const auto& [name, subset] : subsets) {
    SubsetTotal& into = merged[MergedName(splits, name, subset.serves())];
    into.targets += subset.targets;
    into.serving += subset.serving;
    into.active += subset.active;
    into.in_service += subset.in_service;
  }
  return merged;
}

// Makes them small without changing what they are to each other; one above 0 stays so.
void Reduce(std::vector<int64_t>& weights, int64_t most) {
  int64_t largest = 0;
  int64_t divisor = 0;
  for (const int64_t weight : weights) {
    largest = std::max(largest, weight);
    divisor = std::gcd(divisor, weight);
  }
  if (divisor == 0) return;
  largest /= divisor;
  for (int64_t& weight : weights) {
    weight /= divisor;
    if (largest > most) weight = (weight * most + largest - 1) / largest;
  }
}

// Gives the new side of a deployment its part of what its group weighs, and the old side's subsets
// the rest as they weigh. Where nothing of one side is there, the other has all.
void SetParts(const GroupSplits& splits, const proxy::v1::TrafficSplit& split,
              std::vector<int64_t>& weights) {
  for (const GroupSplit& group : splits) {
    if (group.percent == 0) continue;
    int64_t old_weight = 0;
    int64_t new_weight = 0;
    const auto each = [&](const auto& fn) {
      for (int i = 0; i < split.subsets_size(); ++i) {
        const std::string& name = split.subsets(i).subset();
        if (name.compare(0, group.prefix.size(), group.prefix) == 0) {
          fn(name == group.new_subset, weights[static_cast<size_t>(i)]);
        }
      }
    };
    each([&](bool is_new, int64_t weight) { (is_new ? new_weight : old_weight) += weight; });
    if (old_weight == 0 || new_weight == 0) continue;
    const int64_t whole = old_weight + new_weight;
    each([&](bool is_new, int64_t& weight) {
      weight = is_new ? whole * group.percent * old_weight
                      : whole * (kWholePercent - group.percent) * weight;
    });
    // All other subsets in the same measure.
    for (int i = 0; i < split.subsets_size(); ++i) {
      const std::string& name = split.subsets(i).subset();
      if (name.compare(0, group.prefix.size(), group.prefix) != 0) {
        weights[static_cast<size_t>(i)] *= kWholePercent * old_weight;
      }
    }
    Reduce(weights, kMaxWeightBetween);
  }
}

// Requests that reach the new side whatever its share is, and those that are copied to it.
void AddExtras(const GroupSplits& splits, proxy::v1::TrafficSplit& out) {
  for (const GroupSplit& group : splits) {
    if (IsRollback(StageOf(*group.row))) continue;
    for (const v1::PreviewRoute& route : group.row->previews()) {
      auto* preview = out.add_previews();
      *preview->mutable_route() = route;
      preview->set_subset(group.new_subset);
    }
    // One target group has one mirror: the first deployment's that wants it.
    if (!group.row->has_mirror() || out.has_mirror() || KeepsOldSide(*group.row)) continue;
    *out.mutable_mirror()->mutable_mirror() = group.row->mirror();
    out.mutable_mirror()->set_subset(group.new_subset);
  }
}

// One serving subset gets weight 1; several get a share by their number of targets in service (if
// there are none, of active ones), so that each target gets the same. One that does not serve is
// named with weight 0. A change of numbers then changes no split in the usual case.
proxy::v1::TrafficSplit SplitOf(std::string_view target_group, const SubsetTotals& subsets,
                                const GroupSplits& splits) {
  proxy::v1::TrafficSplit split;
  split.set_target_group(std::string(target_group));
  const auto serving = std::count_if(subsets.begin(), subsets.end(),
                                     [](const auto& entry) { return entry.second.serves(); });
  int in_service = 0;
  int active = 0;
  for (const auto& [name, subset] : subsets) {
    in_service += subset.in_service;
    active += subset.active;
  }
  std::vector<int64_t> weights;
  for (const auto& [name, subset] : subsets) {
    split.add_subsets()->set_subset(name);
    weights.push_back(!subset.serves()              ? 0
                      : serving == 1 || active == 0 ? 1
                      : in_service == 0             ? subset.active
                                                    : subset.in_service);
  }
  SetParts(splits, split, weights);
  Reduce(weights, kMaxSubsetWeight);
  for (int i = 0; i < split.subsets_size(); ++i) {
    split.mutable_subsets(i)->set_weight(static_cast<int>(weights[static_cast<size_t>(i)]));
  }
  AddExtras(splits, split);
  return split;
}

GroupSplit SplitOfDeployment(const std::string& group, std::shared_ptr<const v1::Deployment> row) {
  GroupSplit out{.prefix = group + "/",
                 .new_subset = SubsetOf(group, row->to()),
                 .percent = IsShared(*row) ? row->traffic_percent() : 0,
                 .row = std::move(row)};
  return out;
}

// Of all groups whose instances are targets of this one.
GroupSplits GroupSplitsOf(const State& state, const Draft& draft, std::string_view target_group) {
  GroupSplits out;
  for (const auto& [id, group] : state.All<v1::AutoScalingGroup>()) {
    if (!IsOf(*group, target_group)) continue;
    if (auto row = ActiveDeployment(draft, id, nullptr); row != nullptr) {
      out.push_back(SplitOfDeployment(id, std::move(row)));
    }
  }
  return out;
}

}  // namespace

void SubsetTotal::Count(const TargetShare& share, int by) {
  targets += by;
  serving += share.serves ? by : 0;
  active += share.active * by;
  in_service += share.in_service * by;
}

TargetGroupView TargetGroupViewOf(const State& state, const Observations& seen,
                                  std::string_view target_group) {
  TargetGroupView view;
  const auto* row = state.Find<v1::TargetGroup>(target_group);
  if (row == nullptr) return view;
  view.target_group = RowOf(state, target_group, **row);
  const Draft draft(state);
  for (const auto& [group_id, group] : state.All<v1::AutoScalingGroup>()) {
    if (!IsOf(*group, target_group)) continue;
    for (const auto& [id, instance] : draft.InstancesOfGroup(group_id)) {
      if (IsKeptFromBalancer(*group, *instance)) continue;
      std::optional<Shown> shown = ShownOf(draft, seen, target_group, id, *instance);
      if (shown.has_value()) Add(id, *std::move(shown), view);
    }
  }
  AddByHand(draft, target_group, view);
  for (auto& [id, target] : view.targets) {
    SetWeight(view.subsets.find(target.subset())->second, view.shares.find(id)->second, target);
  }
  view.group_splits = GroupSplitsOf(state, draft, target_group);
  if (view.subsets.empty()) return view;
  if (view.subsets.size() <= kMaxSubsets) {
    view.split = SplitOf(target_group, view.subsets, view.group_splits);
    return view;
  }
  for (auto& [id, target] : view.targets) {
    const bool serves = view.subsets.find(target.subset())->second.serves();
    target.set_subset(MergedName(view.group_splits, target.subset(), serves));
  }
  view.split = SplitOf(target_group, Merged(view.group_splits, view.subsets), view.group_splits);
  return view;
}

std::optional<TargetGroupChange> ChangeOf(const State& state, const Observations& seen,
                                          std::string_view target_group,
                                          const std::set<std::string>& ids,
                                          const TargetGroupView& before) {
  if (!before.target_group.has_value() || before.subsets.size() > kMaxSubsets) return std::nullopt;
  const Draft draft(state);
  TargetGroupChange change{.targets = {}, .subsets = before.subsets, .split = std::nullopt};
  for (const std::string& id : ids) {
    const auto known = before.targets.find(id);
    if (known != before.targets.end()) {
      change.subsets[known->second.subset()].Count(before.shares.find(id)->second, -1);
    }
    std::optional<Shown> shown = ShownOf(draft, seen, target_group, id);
    if (shown.has_value()) change.subsets[shown->target.subset()].Count(shown->share, 1);
    if (known != before.targets.end() || shown.has_value()) {
      change.targets.emplace(id, std::move(shown));
    }
  }
  // The weights of those that are withheld hang on whether their subset serves.
  for (const auto& [name, subset] : change.subsets) {
    const auto was = before.subsets.find(name);
    if (was != before.subsets.end() && was->second.serves() != subset.serves()) {
      return std::nullopt;
    }
  }
  std::erase_if(change.subsets, [](const auto& entry) { return entry.second.targets == 0; });
  if (change.subsets.size() > kMaxSubsets) return std::nullopt;
  for (auto& [id, shown] : change.targets) {
    if (!shown.has_value()) continue;
    SetWeight(change.subsets.find(shown->target.subset())->second, shown->share, shown->target);
  }
  if (!change.subsets.empty())
    change.split = SplitOf(target_group, change.subsets, before.group_splits);
  return change;
}

}  // namespace remuda::core
