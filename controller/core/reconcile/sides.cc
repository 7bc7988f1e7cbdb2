#include "controller/core/reconcile/sides.h"

#include <algorithm>
#include <set>
#include <utility>

#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/names.h"

namespace remuda::core {

namespace {

// Which side an instance is on.
enum class Part { kOld, kNew, kLeft };

Part PartOf(const v1::Instance& row, const v1::Deployment* deployment) {
  if (deployment == nullptr) return IsWithheld(row) ? Part::kLeft : Part::kOld;
  const bool is_to = IsSame(VersionOf(row), deployment->to());
  // What served all the time, or serves again, stays.
  const bool stays = StageOf(*deployment) == Stage::kBackDraining && !IsWithheld(row);
  if (is_to) return stays ? Part::kOld : Part::kNew;
  // The old ones are withheld once all of the traffic has moved, by this deployment.
  const bool is_warm = KeepsOldSide(*deployment) && row.withheld_by() == IdOf(deployment->name());
  return IsWithheld(row) && !is_warm ? Part::kLeft : Part::kOld;
}

// Numbers of a deployment whose instances take each other's place: as its row says.
void SetByNumber(const v1::Deployment& deployment, int desired, Side& old_side, Side& new_side) {
  const Stage stage = StageOf(deployment);
  const bool is_back = stage == Stage::kBackReplacing || stage == Stage::kBackUpdating;
  Side& comes = is_back ? old_side : new_side;
  Side& goes = is_back ? new_side : old_side;
  comes.desired = deployment.coming();
  goes.desired = std::min(deployment.staying(), desired);
  goes.limit = deployment.staying();
  // More than are wanted are there only where what ran before is of this version.
  comes.limit = std::max(deployment.coming(), desired);
}

// Gives `sides` the deployment's numbers: the old side that is there, and the new one.
void AddNewSide(const v1::Deployment& deployment, std::vector<Side>& sides) {
  const std::string id(IdOf(deployment.name()));
  const Stage stage = StageOf(deployment);
  Side& old_side = sides[0];
  const int desired = old_side.desired;
  Side new_side = old_side;
  old_side.launch = deployment.from();
  if (KeepsOldSide(deployment)) old_side.withheld_by = id;
  new_side.launch = deployment.to();
  new_side.is_new = true;
  new_side.deployment = id;
  if (KeepsNewSide(deployment)) new_side.withheld_by = id;
  if (!MovesShares(deployment) && !IsBackToServing(deployment)) {
    SetByNumber(deployment, desired, old_side, new_side);
  } else {
    new_side.desired = PercentOf(LaunchedPercent(deployment), desired);
  }
  // Back to the only version that serves: what is launched of it serves at once, as without a
  // deployment.
  if (IsBackToServing(deployment) && stage == Stage::kLaunching) {
    new_side.withheld_by = "";
    old_side.desired = old_side.limit = 0;
  }
  if (stage == Stage::kDraining) old_side.desired = old_side.limit = 0;
  if (stage == Stage::kBackDraining) new_side.desired = new_side.limit = 0;
  sides.push_back(std::move(new_side));
}

// Of the new side, what served before the deployment. The old side need not have as many more:
// those on their way up keep it from launching, those that serve let it shrink.
struct Incumbents {
  int up = 0;
  int serving = 0;

  void Count(const v1::Instance& row, bool is_leaving) {
    if (IsWithheld(row) || row.unhealthy()) return;
    up += IsUp(row.state()) || row.state() == v1::INSTANCE_STATE_UNKNOWN;
    // Not of a silent host, nor one that is about to be drained: others may have taken its place
    // already.
    serving += row.state() == v1::INSTANCE_STATE_IN_SERVICE && !is_leaving;
  }
};

// Instances of which another takes the place, for the zones.
std::set<std::string_view> ReplacedOf(const InstanceList& all) {
  std::set<std::string_view> out;
  for (const auto& [id, row] : all) {
    if (IsUp(row->state())) out.insert(row->replaces());
  }
  return out;
}

}  // namespace

bool IsOnDrainedHost(const Draft& draft, const v1::Instance& instance) {
  const auto host = draft.Find<v1::Host>(instance.host());
  return host != nullptr && host->schedule() == v1::HOST_SCHEDULE_DRAINING;
}

std::vector<Side> SidesOf(const Draft& draft, std::string_view id,
                          const v1::AutoScalingGroup& group, const v1::Deployment* deployment) {
  const int desired = DesiredOf(group);
  std::vector<Side> sides(1);
  sides[0].launch = group.launch_template();
  sides[0].desired = sides[0].limit = desired;
  if (deployment != nullptr) AddNewSide(*deployment, sides);
  Side left;
  Incumbents incumbents;
  const Instances of_group = draft.InstancesOfGroup(id);
  const InstanceList& all = of_group.list();
  const std::set<std::string_view> replaced = ReplacedOf(all);
  for (const Member& member : all) {
    const v1::Instance& row = *member.second;
    if (row.state() == v1::INSTANCE_STATE_TERMINATED || IsApart(row)) continue;
    const Part part = PartOf(row, deployment);
    if (part == Part::kLeft) left.launch = row.launch_template();
    if (part == Part::kNew) {
      incumbents.Count(row, row.terminate_requested() || replaced.contains(member.first) ||
                                IsOnDrainedHost(draft, row));
    }
    Side& side = part == Part::kLeft ? left : sides[part == Part::kNew ? 1 : 0];
    side.members.push_back(member);
  }
  // Where the new side is to have all of the traffic: with a part of it, the old side has to bear
  // the rest.
  if (deployment != nullptr && StageOf(*deployment) == Stage::kLaunching &&
      KeepsNewSide(*deployment) && LaunchedPercent(*deployment) == 100) {
    sides[0].desired = std::max(0, desired - incumbents.up);
    sides[0].limit = std::max(0, desired - incumbents.serving);
  }
  if (!left.members.empty()) sides.push_back(std::move(left));
  return sides;
}

}  // namespace remuda::core
