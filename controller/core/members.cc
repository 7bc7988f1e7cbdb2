#include "controller/core/members.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>

namespace remuda::core {
namespace {

bool HasEnded(v1::DeploymentPhase phase) {
  return phase == v1::DEPLOYMENT_PHASE_SUCCEEDED || phase == v1::DEPLOYMENT_PHASE_ROLLED_BACK;
}

}  // namespace

std::shared_ptr<const v1::Deployment> ActiveDeployment(const Draft& draft, std::string_view group,
                                                       std::string* id) {
  const std::string prefix = std::string(group) + "-";
  std::string found;
  draft.ForEachFrom<v1::Deployment>(prefix, [&](const std::string& key, const v1::Deployment& row) {
    if (!key.starts_with(prefix)) return false;
    // "blue-" is also the beginning of the deployments of a group "blue-2".
    if (row.auto_scaling_group() == group && !HasEnded(row.phase())) found = key;
    return found.empty();
  });
  if (found.empty()) return nullptr;
  if (id != nullptr) *id = found;
  return draft.Find<v1::Deployment>(found);
}

bool IsSame(const v1::LaunchTemplateRef& a, const v1::LaunchTemplateRef& b) {
  return a.version() == b.version() && a.name() == b.name();
}

std::string TextOf(const v1::LaunchTemplateRef& ref) {
  return absl::StrCat(ref.name(), ":", ref.version());
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

Leftovers::Leftovers(const Draft& draft, std::string_view group) {
  const std::string prefix = std::string(group) + "-";
  draft.ForEachFrom<v1::Deployment>(prefix, [&](const std::string& key, const v1::Deployment& row) {
    if (!key.starts_with(prefix)) return false;
    if (row.auto_scaling_group() == group && row.phase() == v1::DEPLOYMENT_PHASE_ROLLED_BACK) {
      rolled_back_.push_back(draft.Find<v1::Deployment>(key));
    }
    return true;
  });
}

bool Leftovers::Has(const v1::Instance& instance, const v1::AutoScalingGroup& group,
                    const v1::Deployment* deployment) const {
  const v1::LaunchTemplateRef& runs = instance.launch_template();
  if (IsSame(runs, group.launch_template())) return false;
  if (deployment != nullptr &&
      (IsSame(runs, deployment->to()) || IsSame(runs, deployment->from()))) {
    return false;
  }
  const Time born = FromProto(instance.create_time());
  return std::any_of(rolled_back_.begin(), rolled_back_.end(), [&](const auto& row) {
    return IsSame(runs, row->to()) && FromProto(row->create_time()) <= born &&
           born <= FromProto(row->end_time());
  });
}

std::vector<Side> SidesOf(const Draft& draft, std::string_view id,
                          const v1::AutoScalingGroup& group, const v1::Deployment* deployment) {
  const int desired = DesiredOf(group);
  std::vector<Side> sides(1);
  sides[0].launch = deployment == nullptr ? group.launch_template() : deployment->from();
  sides[0].desired = desired;
  if (deployment != nullptr) {
    sides.push_back(
        {.launch = deployment->to(), .desired = desired, .is_new = true, .members = {}});
    if (deployment->phase() == v1::DEPLOYMENT_PHASE_DRAINING) sides[0].desired = 0;
    if (deployment->phase() == v1::DEPLOYMENT_PHASE_ROLLBACK_DRAINING) sides[1].desired = 0;
  }
  const Leftovers leftovers(draft, id);
  Side left;
  for (Member& member : draft.InstancesOfGroup(id)) {
    if (member.second->state() == v1::INSTANCE_STATE_TERMINATED) continue;
    if (leftovers.Has(*member.second, group, deployment)) {
      left.launch = member.second->launch_template();
      left.members.push_back(std::move(member));
      continue;
    }
    const bool is_new =
        deployment != nullptr && IsSame(member.second->launch_template(), deployment->to());
    sides[is_new ? 1 : 0].members.push_back(std::move(member));
  }
  if (!left.members.empty()) sides.push_back(std::move(left));
  return sides;
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
                            Time now) {
  Time good = absl::InfinitePast();
  for (const auto& [id, row] : all) {
    if (!IsSame(row->launch_template(), launch) || !WasStable(*row, now)) continue;
    good = std::max(good, FromProto(row->in_service_time()) + kStableAfter);
  }
  LaunchRecord record;
  Time last = absl::InfinitePast();
  std::map<std::string_view, Time> counted;  // by host, the end of the last failure there
  for (const auto& [id, row] : all) {
    if (!IsSame(row->launch_template(), launch) || !IsFailedLaunch(*row, now) ||
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

}  // namespace remuda::core
