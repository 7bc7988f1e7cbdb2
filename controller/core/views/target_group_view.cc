#include "controller/core/views/target_group_view.h"

#include <algorithm>

#include "controller/core/model/draft.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
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

std::string SubsetOf(std::string_view group, const v1::LaunchTemplateRef& launch) {
  return std::string(group) + "/" + TextOf(launch);
}

// Whether proxies know the instance's target. Once its process has been seen running, until it is
// stopped or gone.
bool IsTarget(const v1::Instance& row) {
  return row.has_start_time() && row.port() != 0 &&
         (IsUp(row.state()) || row.state() == v1::INSTANCE_STATE_UNKNOWN ||
          row.state() == v1::INSTANCE_STATE_DRAINING) &&
         row.state() != v1::INSTANCE_STATE_STANDBY;
}

// A subset while the split is made. What is kept from traffic is in none of its numbers, and a
// target that is registered by hand counts as often as its weight says.
struct Subset {
  bool serves = false;
  int active = 0;
  int in_service = 0;
};
using Subsets = std::map<std::string, Subset>;

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

void AddGroup(const Draft& draft, const Observations& seen, std::string_view group_id,
              std::string_view target_group, TargetGroupView& view, Subsets& subsets) {
  std::vector<std::string> withheld;
  for (const auto& [id, row] : draft.InstancesOfGroup(group_id)) {
    if (!IsTarget(*row)) continue;
    proxy::v1::Target target = TargetOf(draft, seen, target_group, id, *row);
    const bool active = target.state() == proxy::v1::Target::STATE_ACTIVE;
    Subset& subset = subsets[target.subset()];
    if (IsWithheld(*row)) {
      if (active) withheld.push_back(id);
    } else if (row->state() != v1::INSTANCE_STATE_DRAINING) {
      subset.serves = true;
      subset.active += active;
      subset.in_service += active && IsServing(*row);
    }
    view.targets.emplace(id, std::move(target));
  }
  // The version serves already, and these wait beside those that do.
  for (const std::string& id : withheld) {
    proxy::v1::Target& target = view.targets.at(id);
    if (subsets[target.subset()].serves) target.set_weight(0);
  }
}

void AddByHand(const Draft& draft, std::string_view target_group, TargetGroupView& view,
               Subsets& subsets) {
  const std::string prefix = TargetKey(target_group, "");
  draft.ForEachFrom<v1::Target>(prefix, [&](const std::string& key, const v1::Target& row) {
    if (key.compare(0, prefix.size(), prefix) != 0) return false;
    proxy::v1::Target target;
    target.set_target_group(std::string(target_group));
    target.set_id(key.substr(prefix.size()));
    target.set_address(row.address());
    target.set_port(row.port());
    target.set_zone(row.zone());
    const int weight = row.has_weight() ? row.weight() : 1;
    if (weight != 1) target.set_weight(weight);
    const bool draining = row.state() == v1::TARGET_STATE_DRAINING;
    target.set_state(draining ? proxy::v1::Target::STATE_DRAINING
                              : proxy::v1::Target::STATE_ACTIVE);
    Subset& subset = subsets[""];
    subset.serves = true;
    subset.active += draining ? 0 : weight;
    subset.in_service += draining ? 0 : weight;
    view.targets.emplace(target.id(), std::move(target));
    return true;
  });
}

// More subsets than a split can name become two. Nothing is lost: several that serve weigh as many
// as they have targets, so that each target gets the same share, and so it does as one of one
// subset.
void MergeSubsets(TargetGroupView& view, Subsets& subsets) {
  Subsets merged;
  for (const auto& [name, subset] : subsets) {
    Subset& into = merged[subset.serves ? kAllThatServe : kAllOthers];
    into.serves = subset.serves;
    into.active += subset.active;
    into.in_service += subset.in_service;
  }
  for (auto& [id, target] : view.targets) {
    target.set_subset(subsets[target.subset()].serves ? kAllThatServe : kAllOthers);
  }
  subsets = std::move(merged);
}

// Brings weights within what proxies take; one above 0 stays so.
void Scale(proxy::v1::TrafficSplit& split) {
  int64_t largest = 0;
  for (const auto& subset : split.subsets()) largest = std::max<int64_t>(largest, subset.weight());
  if (largest <= kMaxSubsetWeight) return;
  for (auto& subset : *split.mutable_subsets()) {
    const int64_t scaled = (subset.weight() * kMaxSubsetWeight + largest - 1) / largest;
    subset.set_weight(static_cast<int>(scaled));
  }
}

// One serving subset gets weight 1; several get a share by their number of targets in service (if
// there are none, of active ones), so that each target gets the same. One that does not serve is
// named with weight 0. A change of numbers then changes no split in the usual case.
proxy::v1::TrafficSplit SplitOf(std::string_view target_group, const Subsets& subsets) {
  proxy::v1::TrafficSplit split;
  split.set_target_group(std::string(target_group));
  const auto serving = std::count_if(subsets.begin(), subsets.end(),
                                     [](const auto& entry) { return entry.second.serves; });
  int in_service = 0;
  int active = 0;
  for (const auto& [name, subset] : subsets) {
    in_service += subset.in_service;
    active += subset.active;
  }
  for (const auto& [name, subset] : subsets) {
    auto* out = split.add_subsets();
    out->set_subset(name);
    if (!subset.serves) continue;
    out->set_weight(serving == 1 || active == 0 ? 1
                    : in_service == 0           ? subset.active
                                                : subset.in_service);
  }
  Scale(split);
  return split;
}

// Target groups that the group's instances are or were registered in.
void AddTargetGroupsOf(const State& state, std::string_view group, std::set<std::string>& out) {
  const auto* entry = state.Find<v1::AutoScalingGroup>(group);
  if (entry == nullptr) return;
  out.insert((*entry)->target_groups().begin(), (*entry)->target_groups().end());
}

}  // namespace

TargetGroupView TargetGroupViewOf(const State& state, const Observations& seen,
                                  std::string_view target_group) {
  TargetGroupView view;
  const auto* row = state.Find<v1::TargetGroup>(target_group);
  if (row == nullptr) return view;
  view.target_group = **row;
  const Draft draft(state);
  Subsets subsets;
  for (const auto& [group_id, group] : state.All<v1::AutoScalingGroup>()) {
    const auto& ids = group->target_groups();
    if (std::find(ids.begin(), ids.end(), target_group) == ids.end()) continue;
    AddGroup(draft, seen, group_id, target_group, view, subsets);
  }
  AddByHand(draft, target_group, view, subsets);
  if (subsets.size() > kMaxSubsets) MergeSubsets(view, subsets);
  if (!subsets.empty()) view.split = SplitOf(target_group, subsets);
  return view;
}

std::set<std::string> TargetGroupsTouchedBy(const State& before, const State& after,
                                            const Changes& changes) {
  std::set<std::string> out;
  const auto of_instance = [&](const State& state, const std::string& id) {
    const auto* row = state.Find<v1::Instance>(id);
    if (row == nullptr) return;
    AddTargetGroupsOf(before, (*row)->auto_scaling_group(), out);
    AddTargetGroupsOf(after, (*row)->auto_scaling_group(), out);
  };
  const auto of_deployment = [&](const State& state, const std::string& id) {
    const auto* row = state.Find<v1::Deployment>(id);
    if (row != nullptr) AddTargetGroupsOf(after, (*row)->auto_scaling_group(), out);
  };
  for (const Edit& edit : changes.edits) {
    switch (edit.kind) {
      case Kind::kTargetGroup:
        out.insert(edit.key);
        break;
      case Kind::kTarget:
        out.insert(edit.key.substr(0, edit.key.find('/')));
        break;
      case Kind::kAutoScalingGroup:
        AddTargetGroupsOf(before, edit.key, out);
        AddTargetGroupsOf(after, edit.key, out);
        break;
      case Kind::kHost:  // its zone
        for (const std::string& id : after.InstancesOnHost(edit.key)) of_instance(after, id);
        break;
      case Kind::kInstance:
        of_instance(before, edit.key);
        of_instance(after, edit.key);
        break;
      case Kind::kDeployment:
        of_deployment(before, edit.key);
        of_deployment(after, edit.key);
        break;
      default:
        break;
    }
  }
  return out;
}

}  // namespace remuda::core
