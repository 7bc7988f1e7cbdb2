#include "controller/core/reconcile/members.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "controller/core/model/words.h"

namespace remuda::core {
namespace {

// Which side an instance is on.
enum class Part { kOld, kNew, kLeft };

Part PartOf(const v1::Instance& row, const v1::Deployment* deployment) {
  if (deployment == nullptr) return IsWithheld(row) ? Part::kLeft : Part::kOld;
  const bool is_to = IsSame(row.launch_template(), deployment->to());
  // What served all the time, or serves again, stays.
  const bool stays =
      deployment->phase() == v1::DEPLOYMENT_PHASE_ROLLBACK_DRAINING && !IsWithheld(row);
  if (is_to) return stays ? Part::kOld : Part::kNew;
  // The old ones are withheld once the traffic has moved, by this deployment.
  const bool is_warm =
      ServesNewSide(deployment->phase()) && row.withheld_by() == ShortNameOf(deployment->name());
  return IsWithheld(row) && !is_warm ? Part::kLeft : Part::kOld;
}

// Gives `sides` the deployment's numbers: the old side that is there, and the new one.
void AddNewSide(const v1::Deployment& deployment, std::vector<Side>& sides) {
  const std::string id = ShortNameOf(deployment.name());
  const bool serves_new = ServesNewSide(deployment.phase());
  Side& old_side = sides[0];
  Side new_side = old_side;
  old_side.launch = deployment.from();
  if (serves_new) old_side.withheld_by = id;
  new_side.launch = deployment.to();
  new_side.is_new = true;
  new_side.deployment = id;
  if (!serves_new) new_side.withheld_by = id;
  // Back to the only version that serves: what is launched of it serves at once, as without a
  // deployment.
  if (IsBackToServing(deployment) && deployment.phase() == v1::DEPLOYMENT_PHASE_LAUNCHING) {
    new_side.withheld_by = "";
    old_side.desired = old_side.limit = 0;
  }
  if (deployment.phase() == v1::DEPLOYMENT_PHASE_DRAINING) old_side.desired = old_side.limit = 0;
  if (deployment.phase() == v1::DEPLOYMENT_PHASE_ROLLBACK_DRAINING) {
    new_side.desired = new_side.limit = 0;
  }
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

bool HasEnded(v1::DeploymentPhase phase) {
  return phase == v1::DEPLOYMENT_PHASE_SUCCEEDED || phase == v1::DEPLOYMENT_PHASE_ROLLED_BACK ||
         phase == v1::DEPLOYMENT_PHASE_FAILED;
}

std::string ShortNameOf(std::string_view name) {
  return std::string(name.substr(name.find('/') + 1));
}

bool IsServing(const v1::Instance& instance) {
  return !IsWithheld(instance) && !instance.unhealthy() &&
         (instance.state() == v1::INSTANCE_STATE_IN_SERVICE ||
          instance.state() == v1::INSTANCE_STATE_UNKNOWN);
}

std::vector<std::string> DeploymentsOf(const Draft& draft, std::string_view group) {
  const std::string prefix = std::string(group) + "-";
  std::vector<std::string> ids;
  draft.ForEachFrom<v1::Deployment>(prefix, [&](const std::string& key, const v1::Deployment& row) {
    if (!key.starts_with(prefix)) return false;
    // "blue-" is also the beginning of the deployments of a group "blue-2".
    if (row.auto_scaling_group() == group) ids.push_back(key);
    return true;
  });
  return ids;
}

std::shared_ptr<const v1::Deployment> ActiveDeployment(const Draft& draft, std::string_view group,
                                                       std::string* id) {
  for (const std::string& key : DeploymentsOf(draft, group)) {
    auto row = draft.Find<v1::Deployment>(key);
    if (HasEnded(row->phase())) continue;
    if (id != nullptr) *id = key;
    return row;
  }
  return nullptr;
}

bool IsSame(const v1::LaunchTemplateRef& a, const v1::LaunchTemplateRef& b) {
  return a.version() == b.version() && a.name() == b.name();
}

std::string TextOf(const v1::LaunchTemplateRef& ref) {
  return absl::StrCat(ref.name(), ":", ref.version());
}

bool IsOnDrainedHost(const Draft& draft, const v1::Instance& instance) {
  const auto host = draft.Find<v1::Host>(instance.host());
  return host != nullptr && host->schedule() == v1::HOST_SCHEDULE_DRAINING;
}

bool IsBackToServing(const v1::Deployment& deployment) {
  return IsSame(deployment.from(), deployment.to());
}

bool IsUp(v1::InstanceState state) {
  return state == v1::INSTANCE_STATE_PENDING || state == v1::INSTANCE_STATE_PENDING_WAIT ||
         state == v1::INSTANCE_STATE_IN_SERVICE || state == v1::INSTANCE_STATE_STANDBY;
}

bool IsLeavingState(v1::InstanceState state) {
  return state == v1::INSTANCE_STATE_DRAINING || state == v1::INSTANCE_STATE_TERMINATING_WAIT ||
         state == v1::INSTANCE_STATE_STOPPING || state == v1::INSTANCE_STATE_TERMINATED;
}

int DesiredOf(const v1::AutoScalingGroup& group) {
  if (group.deleting()) return 0;
  return std::max(group.min(), std::min(group.max(), group.desired()));
}

bool ServesNewSide(v1::DeploymentPhase phase) {
  return phase == v1::DEPLOYMENT_PHASE_SHIFTING || phase == v1::DEPLOYMENT_PHASE_BAKING ||
         phase == v1::DEPLOYMENT_PHASE_DRAINING || phase == v1::DEPLOYMENT_PHASE_ROLLBACK_LAUNCHING;
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
  InstanceList all = draft.InstancesOfGroup(id);
  const std::set<std::string_view> replaced = ReplacedOf(all);
  for (Member& member : all) {
    const v1::Instance& row = *member.second;
    if (row.state() == v1::INSTANCE_STATE_TERMINATED) continue;
    const Part part = PartOf(row, deployment);
    if (part == Part::kLeft) left.launch = row.launch_template();
    if (part == Part::kNew) {
      incumbents.Count(row, row.terminate_requested() || replaced.contains(member.first) ||
                                IsOnDrainedHost(draft, row));
    }
    Side& side = part == Part::kLeft ? left : sides[part == Part::kNew ? 1 : 0];
    side.members.push_back(std::move(member));
  }
  if (deployment != nullptr && deployment->phase() == v1::DEPLOYMENT_PHASE_LAUNCHING &&
      !IsBackToServing(*deployment)) {
    sides[0].desired = std::max(0, desired - incumbents.up);
    sides[0].limit = std::max(0, desired - incumbents.serving);
  }
  if (!left.members.empty()) sides.push_back(std::move(left));
  return sides;
}

v1::LaunchTemplateRef RunsBeside(const Draft& draft, std::string_view id,
                                 const v1::AutoScalingGroup& group,
                                 const v1::LaunchTemplateRef& to) {
  // By how many serve, then whether the group names it, then by how many are up.
  using Rank = std::tuple<int, bool, int>;
  std::map<std::pair<std::string, int>, Rank> ranks;
  const auto rank = [&](const v1::LaunchTemplateRef& ref) -> Rank& {
    return ranks[{ref.name(), ref.version()}];
  };
  if (!IsSame(group.launch_template(), to)) std::get<1>(rank(group.launch_template())) = true;
  for (const auto& [instance, row] : draft.InstancesOfGroup(id)) {
    const bool up = IsUp(row->state()) || row->state() == v1::INSTANCE_STATE_UNKNOWN;
    if (!up || IsWithheld(*row) || IsSame(row->launch_template(), to)) continue;
    std::get<0>(rank(row->launch_template())) += IsServing(*row);
    std::get<2>(rank(row->launch_template())) += 1;
  }
  const auto best = std::max_element(
      ranks.begin(), ranks.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (best == ranks.end()) return to;
  v1::LaunchTemplateRef out;
  out.set_name(best->first.first);
  out.set_version(best->first.second);
  return out;
}

bool WasStable(const v1::Instance& instance, Time now) {
  if (!instance.has_in_service_time()) return false;
  const Time end = IsLeavingState(instance.state()) ? FromProto(instance.state_time()) : now;
  return end - FromProto(instance.in_service_time()) >= kStableAfter;
}

bool IsFailedLaunch(const v1::Instance& instance, Time now) {
  return instance.unhealthy() && IsLeavingState(instance.state()) && !WasStable(instance, now);
}

LaunchRecord LaunchRecordOf(const InstanceList& all, const v1::LaunchTemplateRef& launch,
                            std::string_view deployment, Time now) {
  const auto counts = [&](const v1::Instance& row) {
    return IsSame(row.launch_template(), launch) &&
           (deployment.empty() || row.deployment() == deployment);
  };
  Time good = absl::InfinitePast();
  for (const auto& [id, row] : all) {
    if (!counts(*row) || !WasStable(*row, now)) continue;
    good = std::max(good, FromProto(row->in_service_time()) + kStableAfter);
  }
  LaunchRecord record;
  Time last = absl::InfinitePast();
  std::map<std::string_view, Time> counted;  // by host, the end of the last failure there
  for (const auto& [id, row] : all) {
    if (!counts(*row) || !IsFailedLaunch(*row, now) ||
        row->state() != v1::INSTANCE_STATE_TERMINATED) {
      continue;
    }
    const Time time = FromProto(row->state_time());
    if (time <= good) continue;
    const auto [before, is_first] = counted.emplace(row->host(), time);
    if (is_first || FromProto(row->create_time()) >= before->second) ++record.failures;
    before->second = std::max(before->second, time);
    if (time >= last) {
      last = time;
      record.last_instance = id;
      record.last_cause = row->state_reason();
    }
  }
  if (record.failures == 0) return record;
  // A first failure is replaced at once: most are accidents, and users wait for the replacement.
  Duration backoff = record.failures == 1 ? absl::ZeroDuration() : kFirstLaunchBackoff;
  for (int i = 2; i < record.failures && backoff < kMaxLaunchBackoff; ++i) backoff *= 2;
  record.retry_at = last + std::min(backoff, kMaxLaunchBackoff);
  return record;
}

std::string FailuresText(const LaunchRecord& record, const v1::LaunchTemplateRef& launch) {
  return absl::StrCat(Counted(record.failures, "launch"), " of ", TextOf(launch),
                      record.failures == 1 ? " failed, that of " : " failed in a row; the last, ",
                      record.last_instance, ": ", record.last_cause);
}

}  // namespace remuda::core
