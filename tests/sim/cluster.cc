#include "tests/sim/cluster.h"

#include <google/protobuf/util/message_differencer.h>

#include <utility>

#include "controller/core/door/execute.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/names.h"
#include "controller/core/reconcile.h"
#include "controller/core/reconcile/gates.h"
#include "controller/core/views/proxy_config.h"

namespace remuda::sim {

using absl::Milliseconds;
using absl::Seconds;
using google::protobuf::util::MessageDifferencer;

namespace {

bool SameView(const core::Assignment& a, const core::Assignment& b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) {
           return x.first == y.first && MessageDifferencer::Equals(x.second, y.second);
         });
}

bool SameGroup(const core::TargetGroupView& a, const core::TargetGroupView& b) {
  const auto same = [](const auto& x, const auto& y) {
    return x.has_value() == y.has_value() && (!x.has_value() || MessageDifferencer::Equals(*x, *y));
  };
  return same(a.target_group, b.target_group) && same(a.split, b.split) &&
         a.targets.size() == b.targets.size() &&
         std::equal(a.targets.begin(), a.targets.end(), b.targets.begin(),
                    [](const auto& x, const auto& y) {
                      return x.first == y.first && MessageDifferencer::Equals(x.second, y.second);
                    });
}

bool SameView(const Config& a, const Config& b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) {
           return x.first == y.first && SameGroup(x.second, y.second);
         });
}

// What every commit up to now has come to in a session whose receiver has the newest view.
template <class View>
int64_t ConfirmedBy(const Session<View>& session, int64_t commit) {
  if (session.sent != 0 && session.acked == session.sent) return commit;
  const auto it = session.commits.find(session.acked);
  return it == session.commits.end() ? 0 : it->second;
}

}  // namespace

Cluster::Cluster(uint64_t seed, Life life)
    : seed_(seed), life_(life), random_(seed), calm_(seed % 3 == 0) {}

void Cluster::Build() {
  const int hosts = 2 + random_.Below(3);
  for (int i = 1; i <= hosts; ++i) {
    const std::string name = "h" + std::to_string(i);
    HostPart& part = hosts_[name];
    part.host = std::make_unique<Host>(
        name, scheduler_, random_,
        [this](const v1::LaunchTemplateVersion& launch) { return behaviours_[launch.version()]; },
        [this](const std::string& what) { Complain(what); });
    part.session = std::make_unique<Session<core::Assignment>>(scheduler_, random_);
    WireHost(part);
  }
  const int proxies = 1 + random_.Below(3);
  for (int i = 1; i <= proxies; ++i) {
    const std::string name = "p" + std::to_string(i);
    ProxyPart& part = proxies_[name];
    part.proxy = std::make_unique<Proxy>(name, scheduler_, random_,
                                         [this](const std::string& id) { return FindProcess(id); });
    part.session = std::make_unique<Session<Config>>(scheduler_, random_);
    WireProxy(part);
    part.proxy->Begin();
    if (HasStrategies()) ReportCounts(part);
  }
  core::Draft draft(state_);
  AddVersions(draft);
  v1::TargetGroup target_group;
  target_group.set_name("targetGroups/tg");
  *target_group.mutable_deregistration_delay() =
      core::ToProto(calm_ ? Seconds(5) : random_.Between(Seconds(0), Seconds(6)));
  draft.Put("tg", target_group);
  v1::LoadBalancer balancer;
  balancer.set_name("loadBalancers/lb");
  balancer.add_listeners()
      ->mutable_default_action()
      ->mutable_forward()
      ->add_target_groups()
      ->set_target_group("tg");
  draft.Put("lb", balancer);
  v1::AutoScalingGroup group;
  group.set_name("autoScalingGroups/blue");
  *group.mutable_launch_template() = core::Numbered("shop", 1);
  SetSize(group);
  group.add_target_groups("tg");
  // Checks that pass may be heard of late; where one is all that serves, that is a failure.
  *group.mutable_health_check_grace_period() = core::ToProto(Seconds(HasStrategies() ? 10 : 5));
  if (life_ == Life::kLifecycle) {
    AddHooks(group);
    AddPool(group);
  }
  draft.Put("blue", group);
  v1::AutoScalingGroup& wish = *manifest_.add_resources()->mutable_auto_scaling_group();
  wish = group;
  wish.clear_desired();
  if (random_.OneIn(2)) wish.mutable_launch_template()->clear_version();
  if (!HasStrategies() && random_.OneIn(2)) AddDeadHosts(draft);
  state_.Apply(draft.Take(), 1);
  BeginController();
}

void Cluster::AddVersions(core::Draft& draft) {
  const bool fixed_ports = !random_.OneIn(3);
  // What is changed in place keeps its port.
  const bool same_port = HasStrategies() && random_.OneIn(2);
  for (int version = 1; version <= 3; ++version) {
    v1::LaunchTemplateVersion launch;
    launch.set_name(core::VersionName("shop", version));
    launch.set_version(version);
    if (fixed_ports) launch.set_port(same_port ? 7000 : 7000 + 1000 * version);
    draft.Put(core::LaunchTemplateKey("shop", version), launch);
    behaviours_[version] = Behaviour::kGood;
  }
  behaviours_[3] = static_cast<Behaviour>(1 + random_.Below(calm_ ? 2 : 3));
  if (!HasStrategies()) return;
  if (random_.OneIn(2)) behaviours_[3] = Behaviour::kAnswersErrors;
  const int error_percent = 10 + random_.Below(91);
  for (auto& [name, part] : proxies_) part.proxy->error_percent = error_percent;
}

void Cluster::SetSize(v1::AutoScalingGroup& group) {
  group.set_min(1);
  group.set_max(2 + random_.Below(static_cast<int>(hosts_.size())));
  group.set_desired(1 + random_.Below(2));
  if (!HasStrategies()) return;
  group.set_min(random_.Below(2));
  group.set_max(1 + random_.Below(5));
  group.set_desired(group.min() + random_.Below(group.max() - group.min() + 1));
  if (!random_.OneIn(4)) return;
  group.set_min(1);
  group.set_max(1);
  group.set_desired(1);
}

// Hosts that are gone for long, one after the other, more than there are others; and what ran on
// the last of them.
void Cluster::AddDeadHosts(core::Draft& draft) {
  absl::Time lost;
  for (int i = 5; i >= 1; --i) {
    lost = scheduler_.now() - i * absl::Hours(24);
    const std::string id = "dead" + std::to_string(i);
    v1::Host row;
    row.set_name("hosts/" + id);
    row.set_address("10.0.1." + std::to_string(i));
    row.set_zone(i % 2 == 0 ? "a" : "b");
    *row.mutable_lost_time() = core::ToProto(lost);
    draft.Put(id, row);
  }
  v1::Instance row;
  row.set_name("instances/i-dead");
  row.set_auto_scaling_group("blue");
  row.mutable_launch_template()->set_launch_template("shop");
  row.mutable_launch_template()->set_resolved_version(1);
  row.set_host("dead1");
  row.set_zone("b");
  row.set_port(8000);
  row.set_state(v1::INSTANCE_STATE_UNKNOWN);
  row.set_state_before_unknown(v1::INSTANCE_STATE_IN_SERVICE);
  for (auto* time : {row.mutable_create_time(), row.mutable_start_time(),
                     row.mutable_in_service_time(), row.mutable_state_time()}) {
    *time = core::ToProto(lost);
  }
  draft.Put("i-dead", row);
}

void Cluster::Kick() {
  if (kicked_ || !running_) return;
  kicked_ = true;
  scheduler_.After(random_.Between(Milliseconds(0), Milliseconds(3)),
                   [this, life = controller_life_] {
                     if (life != controller_life_) return;
                     kicked_ = false;
                     Turn();
                   });
}

void Cluster::Turn() {
  ++turns_;
  for (auto& [name, part] : hosts_) {
    if (part.session->open) seen_.hosts[name].last_seen = scheduler_.now();
  }
  for (auto& [name, part] : proxies_) {
    if (part.session->open) seen_.proxies[name].last_seen = scheduler_.now();
  }
  core::Draft draft(state_);
  core::Observe(draft, seen_, scheduler_.now(), {});
  due_ = core::Reconcile(draft, seen_, scheduler_.now(), {});
  if (!Commit(draft)) return;
  CheckReplanning();
  CheckCounts();
  CheckOverdue();
  CheckMassLoss();
  Publish();
  if (due_ != absl::InfiniteFuture()) {
    scheduler_.After(due_ - scheduler_.now(), [this, due = due_, life = controller_life_] {
      if (life == controller_life_ && due == due_) Kick();
    });
  }
}

bool Cluster::Commit(core::Draft& draft) {
  const core::Changes changes = draft.Take();
  if (changes.empty()) return true;
  const bool crash = trouble_ && random_.OneIn(60);
  if (crash && random_.OneIn(2)) {
    CrashController();  // before it was durable
    return false;
  }
  const core::State before = state_;
  state_.Apply(changes, state_.commit() + 1);
  CheckState(changes, before);
  KillNewWhenOldDrains(changes);
  if (!crash) return true;
  CrashController();  // after, but nobody was told
  return false;
}

void Cluster::CheckReplanning() {
  core::Draft draft(state_);
  core::Observe(draft, seen_, scheduler_.now(), {});
  core::Reconcile(draft, seen_, scheduler_.now(), {});
  const core::Changes again = draft.Take();
  if (!again.empty()) Complain("planning again edits " + again.edits.front().key);
}

void Cluster::Publish() {
  for (auto& [name, part] : hosts_) PublishTo(part);
  for (auto& [name, part] : proxies_) PublishTo(part);
}

void Cluster::PublishTo(HostPart& part) {
  auto& session = *part.session;
  const std::string& name = part.host->name();
  if (!session.open) return;
  core::Assignment view = core::AssignmentFor(state_, seen_, name);
  if (session.sent == 0 || !SameView(view, session.last)) {
    session.last = view;
    session.commits[++session.sent] = state_.commit();
    session.down.Send([this, &part, number = session.sent, view = std::move(view)] {
      part.host->Take(view);
      part.session->up.Send([this, &part, number] {
        part.session->acked = number;
        Kick();
      });
    });
  }
  seen_.hosts[name].assignment.set_confirmed_commit(ConfirmedBy(session, state_.commit()));
}

Config Cluster::ConfigOf(const std::string& proxy) const {
  Config config;
  for (const std::string& id : core::LoadBalancersOf(state_, proxy)) {
    for (const std::string& group : core::TargetGroupsOf(**state_.Find<v1::LoadBalancer>(id))) {
      config[group] = core::TargetGroupViewOf(state_, seen_, group);
    }
  }
  return config;
}

void Cluster::PublishTo(ProxyPart& part) {
  auto& session = *part.session;
  const std::string& name = part.proxy->name();
  // A proxy that a crash could forget gets nothing yet.
  if (!session.open || state_.Find<v1::Proxy>(name) == nullptr) return;
  Config view = ConfigOf(name);
  if (HasStrategies()) CheckSplit(view);
  if (session.sent == 0 || !SameView(view, session.last)) {
    session.last = view;
    session.commits[++session.sent] = state_.commit();
    session.down.Send([this, &part, number = session.sent, view = std::move(view)] {
      part.proxy->Adopt(view);
      part.session->up.Send([this, &part, number, busy = part.proxy->Busy()] {
        part.session->acked = number;
        seen_.proxies[part.proxy->name()].busy = busy;
        Kick();
      });
    });
  }
  const int64_t confirmed = ConfirmedBy(session, state_.commit());
  auto& observed = seen_.proxies[name].confirmed_commit;
  if (confirmed != observed) {
    observed = confirmed;
    Kick();
  }
}

void Cluster::CrashController() {
  running_ = false;
  kicked_ = false;
  ++controller_life_;
  for (auto& [name, part] : hosts_) Break(part);
  for (auto& [name, part] : proxies_) Break(part);
  const absl::Duration down = random_.OneIn(3) ? random_.Between(Seconds(1), Seconds(25))
                                               : random_.Between(Milliseconds(50), Seconds(1));
  scheduler_.After(down, [this] { BeginController(); });
}

void Cluster::BeginController() {
  running_ = true;
  seen_ = core::Observations();
  seen_.start = scheduler_.now();
  Reconnect();
  Kick();
}

template <class Request>
void Cluster::Ask(const Request& request) {
  if (!running_) return;
  core::Draft draft(state_);
  // A refused wish is no fault: the rules are Execute's.
  if (!core::Execute(draft, request, {seen_, scheduler_.now()}).ok()) return;
  core::Observe(draft, seen_, scheduler_.now(), {});
  due_ = core::Reconcile(draft, seen_, scheduler_.now(), {});
  if (!Commit(draft)) return;
  Publish();
  Kick();
}

template void Cluster::Ask(const v1::ApplyResourcesRequest&);
template void Cluster::Ask(const v1::SetDesiredCapacityRequest&);
template void Cluster::Ask(const v1::UpdateAutoScalingGroupRequest&);
template void Cluster::Ask(const v1::TerminateInstanceRequest&);
template void Cluster::Ask(const v1::CreateDeploymentRequest&);
template void Cluster::Ask(const v1::RollbackDeploymentRequest&);
template void Cluster::Ask(const v1::PromoteDeploymentRequest&);
template void Cluster::Ask(const v1::PauseDeploymentRequest&);
template void Cluster::Ask(const v1::ResumeDeploymentRequest&);
template void Cluster::Ask(const v1::ApproveDeploymentRequest&);
template void Cluster::Ask(const v1::AbortDeploymentRequest&);
template void Cluster::Ask(const v1::DrainHostRequest&);
template void Cluster::Ask(const v1::UncordonHostRequest&);
template void Cluster::Ask(const v1::RegisterTargetsRequest&);
template void Cluster::Ask(const v1::EnterStandbyRequest&);
template void Cluster::Ask(const v1::ExitStandbyRequest&);
template void Cluster::Ask(const v1::DetachInstanceRequest&);
template void Cluster::Ask(const v1::AttachInstanceRequest&);
template void Cluster::Ask(const v1::SetInstanceProtectionRequest&);
template void Cluster::Ask(const v1::CompleteLifecycleActionRequest&);
template void Cluster::Ask(const v1::RecordLifecycleActionHeartbeatRequest&);
template void Cluster::Ask(const v1::SuspendProcessesRequest&);
template void Cluster::Ask(const v1::ResumeProcessesRequest&);
template void Cluster::Ask(const v1::DeregisterTargetsRequest&);

}  // namespace remuda::sim
