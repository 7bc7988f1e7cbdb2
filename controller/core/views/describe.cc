#include "controller/core/views/describe.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controller/core/analysis/side_traffic.h"
#include "controller/core/deployment/deployment.h"
#include "controller/core/deployment/shift_subject.h"
#include "controller/core/model/capacity.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/names.h"
#include "controller/core/model/words.h"
#include "controller/core/reconcile/gates.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/reconcile/pass.h"
#include "controller/core/reconcile/sides.h"

namespace remuda::core {
namespace {

struct Numbers {
  int pending = 0;
  int in_service = 0;
  int terminating = 0;
  int unknown = 0;
  int standby = 0;
  int warm = 0;
};

Numbers CountOf(const InstanceList& members) {
  Numbers numbers;
  for (const auto& [id, row] : members) {
    if (row->in_warm_pool() && !IsLeavingState(row->state())) {
      ++numbers.warm;
      continue;
    }
    switch (row->state()) {
      case v1::INSTANCE_STATE_STANDBY:
        ++numbers.standby;
        break;
      case v1::INSTANCE_STATE_PENDING:
      case v1::INSTANCE_STATE_PENDING_WAIT:
        ++numbers.pending;
        break;
      case v1::INSTANCE_STATE_IN_SERVICE:
        ++numbers.in_service;
        break;
      case v1::INSTANCE_STATE_UNKNOWN:
        ++numbers.unknown;
        break;
      case v1::INSTANCE_STATE_DRAINING:
      case v1::INSTANCE_STATE_TERMINATING_WAIT:
      case v1::INSTANCE_STATE_STOPPING:
        ++numbers.terminating;
        break;
      default:
        break;
    }
  }
  return numbers;
}

int ServingOf(const InstanceList& members) {
  return static_cast<int>(std::count_if(members.begin(), members.end(), [](const Member& member) {
    return IsServing(*member.second);
  }));
}

void Fill(const Side& side, v1::DeploymentSide& out) {
  const Numbers numbers = CountOf(side.members);
  out.set_version(side.launch.resolved_version());
  out.set_desired(side.desired);
  out.set_pending(numbers.pending);
  out.set_in_service(numbers.in_service);
  out.set_terminating(numbers.terminating);
}

// Instances that may well serve but count neither as in service nor as lost, for their hosts are
// silent: "2 instances (i-1, i-2) are unknown: their hosts h1, h2 are silent"; empty if there are
// none.
std::string UnknownOf(const std::vector<Side>& sides) {
  constexpr size_t kNamed = 5;
  std::vector<std::string> ids;
  std::set<std::string> hosts;
  for (const Side& side : sides) {
    for (const auto& [id, row] : side.members) {
      if (row->state() != v1::INSTANCE_STATE_UNKNOWN) continue;
      ids.push_back(id);
      hosts.insert(row->host());
    }
  }
  if (ids.empty()) return "";
  const auto count = static_cast<int64_t>(ids.size());
  return absl::StrCat(Counted(count, "instance"), " (", Listed(std::move(ids), kNamed), ") ",
                      IsOrAre(count),
                      " unknown, and may serve on: ", Listed({hosts.begin(), hosts.end()}, kNamed),
                      hosts.size() == 1 ? " is" : " are", " silent");
}

std::vector<v1::RunningVersion> RunningOf(const InstanceList& members) {
  std::map<std::pair<std::string, int>, v1::RunningVersion> versions;
  for (const auto& [id, row] : members) {
    if (!IsUp(row->state()) && row->state() != v1::INSTANCE_STATE_UNKNOWN) continue;
    if (row->in_warm_pool()) continue;
    const v1::LaunchTemplateRef& ref = row->launch_template();
    v1::RunningVersion& version = versions[{ref.launch_template(), ref.resolved_version()}];
    *version.mutable_launch_template() = ref;
    version.set_instances(version.instances() + 1);
    version.set_serving(version.serving() + IsServing(*row));
  }
  std::vector<v1::RunningVersion> out;
  for (auto& [key, version] : versions) out.push_back(std::move(version));
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.instances() > b.instances(); });
  return out;
}

// What instances run beside the group's version though no deployment moves them; empty if nothing.
std::string DriftOf(std::string_view id, const v1::AutoScalingGroup& group,
                    const InstanceList& members) {
  std::string others;
  InstanceList counted;
  std::copy_if(members.begin(), members.end(), std::back_inserter(counted),
               [](const Member& member) { return !IsApart(*member.second); });
  for (const v1::RunningVersion& version : RunningOf(counted)) {
    if (IsSame(version.launch_template(), group.launch_template())) continue;
    absl::StrAppend(&others, others.empty() ? "" : ", ", version.instances(), " of ",
                    TextOf(version.launch_template()));
  }
  if (others.empty()) return "";
  return absl::StrCat("new instances run ", TextOf(group.launch_template()), ", but there are ",
                      others, ": `remuda deploy asg/", std::string(id), " --template ",
                      TextOf(group.launch_template()), "` moves all to it");
}

// Why members that are up are not healthy. Asked only where some are on their way up or being
// replaced: the gates are not drawn up for every group that is well.
std::string NotComingUp(const GatesNow& gates, const InstanceList& members,
                        const v1::AutoScalingGroup& group) {
  if (!gates) return "";
  const bool is_settled = std::none_of(members.begin(), members.end(), [](const Member& member) {
    const v1::Instance& row = *member.second;
    return row.state() == v1::INSTANCE_STATE_PENDING || (IsUp(row.state()) && row.unhealthy());
  });
  return is_settled ? "" : UnhealthyText(gates(), members, group);
}

// What a person should know of instances beside the group's number, of those that scale-in may not
// end, and of what is suspended.
void AddLifeWarnings(const v1::AutoScalingGroup& group, const InstanceList& members,
                     bool is_settled, v1::AutoScalingGroupStatus& status) {
  for (const v1::SuspendedProcess& suspended : group.suspended_processes()) {
    status.add_warnings(SuspendedText(group, suspended.process()));
  }
  int64_t up = 0;
  int64_t guarded = 0;
  std::map<std::string, int64_t> aside;  // by version
  for (const auto& [id, row] : members) {
    if (row->state() == v1::INSTANCE_STATE_STANDBY &&
        !IsSame(row->launch_template(), group.launch_template())) {
      ++aside[TextOf(row->launch_template())];
    }
    if (!IsUp(row->state()) || IsApart(*row)) continue;
    ++up;
    guarded += IsProtected(*row);
  }
  const int desired = DesiredOf(group);
  if (is_settled && !group.deleting() && up > desired && guarded > desired) {
    status.add_warnings(absl::StrCat(Counted(desired, "instance"), " ", IsOrAre(desired),
                                     " desired and ", up, " ", IsOrAre(up), " up: ", guarded, " ",
                                     IsOrAre(guarded), " protected from scale-in"));
  }
  for (const auto& [version, count] : aside) {
    status.add_warnings(absl::StrCat(Counted(count, "instance"), " of ", version,
                                     count == 1 ? " stands" : " stand",
                                     " by: deployments leave them as they are"));
  }
}

// What its policies last decided or left.
std::string ScalingOf(const Observations& seen, const std::string& id,
                      const v1::AutoScalingGroup& group) {
  if (group.policies().empty()) return "";
  const auto it = seen.metrics.evaluations.find(id);
  if (it == seen.metrics.evaluations.end() || it->second.rows.empty()) {
    return "no policy has been evaluated yet";
  }
  return it->second.rows.back().outcome();
}

}  // namespace

namespace {

v1::Deployment DescribeShift(const Draft& draft, const Observations& seen, Time now,
                             const v1::Deployment& deployment) {
  v1::Deployment out = deployment;
  const int percent = deployment.traffic_percent();
  out.mutable_old_side()->set_traffic_percent(100 - percent);
  out.mutable_new_side()->set_traffic_percent(percent);
  if (HasEnded(StageOf(deployment))) return out;
  const SideTraffic traffic = TrafficSinceShare(draft, seen, deployment);
  ShowTraffic(traffic.old_side, *out.mutable_old_side());
  ShowTraffic(traffic.new_side, *out.mutable_new_side());
  Draft copy = draft;  // a pass could edit; this one only looks
  Pass pass(copy, seen, now);
  const std::string id(IdOf(deployment.name()));
  const ShiftSubject subject(pass, id, deployment);
  const auto fill = [&](const std::string& target_group, v1::DeploymentSide& side) {
    const ShiftSubject::Count count = subject.CountOf(target_group);
    side.set_desired(count.wanted);
    side.set_in_service(count.healthy);
    side.set_pending(std::max(0, count.wanted - count.healthy));
  };
  fill(deployment.shift().from_target_group(), *out.mutable_old_side());
  fill(deployment.shift().to_target_group(), *out.mutable_new_side());
  if (!subject.Orphaned().empty()) return out;
  out.set_waiting(DeploymentWaiting(pass, deployment, id));
  const Time deadline = DeploymentDeadline(pass, deployment, id);
  if (!deployment.paused() && now < deadline && deadline != absl::InfiniteFuture()) {
    *out.mutable_deadline_time() = ToProto(deadline);
  }
  return out;
}

}  // namespace

v1::Deployment Describe(const Draft& draft, const Observations& seen, Time now,
                        const v1::Deployment& deployment) {
  v1::Deployment out = deployment;
  const bool ended = HasEnded(StageOf(deployment));
  const Stage stage = StageOf(deployment);
  const bool serves_new =
      ended ? stage != Stage::kRolledBack : KeepsOldSide(deployment) || IsBackToServing(deployment);
  if (IsShift(deployment)) return DescribeShift(draft, seen, now, deployment);
  out.mutable_old_side()->set_version(deployment.from().resolved_version());
  out.mutable_old_side()->set_traffic_percent(serves_new ? 0 : 100);
  out.mutable_new_side()->set_version(deployment.to().resolved_version());
  out.mutable_new_side()->set_traffic_percent(serves_new ? 100 : 0);
  const auto group = draft.Find<v1::AutoScalingGroup>(deployment.auto_scaling_group());
  if (ended || group == nullptr) return out;
  const auto sides = SidesOf(draft, deployment.auto_scaling_group(), *group, &deployment);
  Fill(sides[0], *out.mutable_old_side());
  Fill(sides[1], *out.mutable_new_side());
  const int old_serving = ServingOf(sides[0].members);
  const int new_serving = ServingOf(sides[1].members);
  if (IsShared(deployment)) {
    out.mutable_old_side()->set_traffic_percent(100 - deployment.traffic_percent());
    out.mutable_new_side()->set_traffic_percent(deployment.traffic_percent());
  } else if (old_serving + new_serving > 0) {
    const int percent = 100 * new_serving / (old_serving + new_serving);
    out.mutable_old_side()->set_traffic_percent(100 - percent);
    out.mutable_new_side()->set_traffic_percent(percent);
  }
  const SideTraffic traffic = TrafficSinceShare(draft, seen, deployment);
  ShowTraffic(traffic.old_side, *out.mutable_old_side());
  ShowTraffic(traffic.new_side, *out.mutable_new_side());
  Draft copy = draft;  // a pass could edit; this one only looks
  Pass pass(copy, seen, now);
  out.set_waiting(DeploymentWaiting(pass, deployment, IdOf(deployment.name())));
  if (const std::string unknown = UnknownOf(sides); !unknown.empty()) {
    out.set_waiting(absl::StrCat(out.waiting(), out.waiting().empty() ? "" : "; ", unknown));
  }
  const Time deadline = DeploymentDeadline(pass, deployment, IdOf(deployment.name()));
  if (!deployment.paused() && now < deadline && deadline != absl::InfiniteFuture()) {
    *out.mutable_deadline_time() = ToProto(deadline);
  }
  return out;
}

v1::AutoScalingGroup Describe(const Draft& draft, const Observations& seen, Time now,
                              const v1::AutoScalingGroup& group) {
  std::optional<Gates> gates;
  return Describe(
      draft, seen, [&]() -> const Gates& { return gates.emplace(draft, seen, now); }, group);
}

v1::AutoScalingGroup Describe(const Draft& draft, const Observations& seen, const GatesNow& gates,
                              const v1::AutoScalingGroup& group) {
  v1::AutoScalingGroup out = group;
  const std::string id(IdOf(group.name()));
  const Instances of_group = draft.InstancesOfGroup(id);
  const InstanceList& members = of_group.list();
  const Numbers numbers = CountOf(members);
  auto& status = *out.mutable_status();
  status.set_pending(numbers.pending);
  status.set_in_service(numbers.in_service);
  status.set_terminating(numbers.terminating);
  status.set_unknown(numbers.unknown);
  status.set_standby(numbers.standby);
  status.set_warm(numbers.warm);
  std::string deployment;
  ActiveDeployment(draft, id, &deployment);
  status.set_deployment(deployment);
  for (v1::RunningVersion& version : RunningOf(members)) {
    *status.add_running_versions() = std::move(version);
  }
  if (std::string drift = DriftOf(id, out, members); deployment.empty() && !drift.empty()) {
    status.add_warnings(std::move(drift));
  }
  AddLifeWarnings(group, members, deployment.empty(), status);
  status.set_scaling(ScalingOf(seen, id, group));
  std::vector<std::string> waiting;
  if (!status.waiting().empty()) waiting.push_back(status.waiting());
  if (std::string why = NotComingUp(gates, members, group); !why.empty()) {
    waiting.push_back(std::move(why));
  }
  if (!seen.store.error.empty()) {
    waiting.push_back("the store commits nothing, so instances are neither started nor replaced: " +
                      seen.store.error);
  }
  status.set_waiting(absl::StrJoin(waiting, "; "));
  return out;
}

v1::LoadBalancer Describe(const Draft& draft, const Observations& seen, Time now,
                          const v1::LoadBalancer& balancer) {
  v1::LoadBalancer out = balancer;
  const std::string id(IdOf(balancer.name()));
  draft.ForEach<v1::Proxy>([&](const std::string& proxy, const v1::Proxy&) {
    const auto it = seen.proxies.find(proxy);
    if (it == seen.proxies.end() || !IsLive(seen, &it->second, now)) return;
    const auto& errors = it->second.listener_errors;
    for (auto error = errors.lower_bound({id, 0});
         error != errors.end() && error->first.first == id; ++error) {
      v1::ListenerError& told = *out.add_listener_errors();
      told.set_proxy(proxy);
      told.set_port(error->first.second);
      told.set_error(error->second.error);
      *told.mutable_since() = ToProto(error->second.since);
    }
  });
  return out;
}

}  // namespace remuda::core
