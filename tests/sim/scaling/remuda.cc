#include "tests/sim/scaling/remuda.h"

#include <absl/strings/str_cat.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "controller/core/door/execute.h"
#include "controller/core/metrics/fold.h"
#include "controller/core/model/capacity.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/policies/evaluate.h"
#include "controller/core/reconcile.h"

namespace remuda::scaling_sim {
namespace {

const absl::Time kEpoch = absl::FromUnixSeconds(1'800'000'000);
constexpr const char* kTemplate = "shop";
constexpr const char* kTargetGroup = "tg";
constexpr const char* kProxy = "p1";
// Steps of one turn after another until nothing is left to do; more would be a bug.
constexpr int kMostTurns = 64;

std::string HostName(int host) { return absl::StrCat("h", host); }

absl::Time TimeOf(int tick) { return kEpoch + tick * kTick; }

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

}  // namespace

v1::ScalingPolicy TrackCpu(const AppTraits& traits) {
  v1::ScalingPolicy out;
  out.set_name("cpu");
  out.mutable_target_tracking()->set_metric(v1::SCALING_METRIC_AVERAGE_CPU_UTILIZATION);
  out.mutable_target_tracking()->set_target(100 * traits.target);
  return out;
}

void Remuda::AddCluster(const App& app, core::Draft& draft) {
  for (int host = 0; host < app.traits().hosts; ++host) {
    v1::Host row;
    row.set_name("hosts/" + HostName(host));
    row.set_address(absl::StrCat("10.0.0.", host + 1));
    row.set_schedule(v1::HOST_SCHEDULE_ACTIVE);
    draft.Put(HostName(host), row);
  }
  for (const int version : {1, 2}) {
    v1::LaunchTemplateVersion launch;
    launch.set_name(absl::StrCat("launchTemplates/", kTemplate, "/versions/", version));
    launch.set_version(version);
    draft.Put(core::LaunchTemplateKey(kTemplate, version), launch);
  }
  v1::TargetGroup target_group;
  target_group.set_name(absl::StrCat("targetGroups/", kTargetGroup));
  draft.Put(kTargetGroup, target_group);
  v1::LoadBalancer balancer;
  balancer.set_name("loadBalancers/lb");
  balancer.add_listeners()
      ->mutable_default_action()
      ->mutable_forward()
      ->add_target_groups()
      ->set_target_group(kTargetGroup);
  draft.Put("lb", balancer);
  core::ProxyObservation& proxy = seen_.proxies[kProxy];
  proxy.connected = proxy.reported = true;
  proxy.hello.set_proxy(kProxy);
  v1::Proxy row;
  row.set_name(absl::StrCat("proxies/", kProxy));
  draft.Put(kProxy, row);
}

// Those that have run for long.
void Remuda::AddRunning(App& app, core::Draft& draft, int desired) {
  for (int i = 0; i < desired; ++i) {
    const int host = i % app.traits().hosts;
    const std::string id = absl::StrCat("i-", i);
    const absl::Time start = now_ - absl::Hours(1);
    v1::Instance row;
    row.set_name("instances/" + id);
    row.set_auto_scaling_group(kGroup);
    *row.mutable_launch_template() = core::Numbered(kTemplate, 1);
    row.set_host(HostName(host));
    row.set_address(absl::StrCat("10.0.0.", host + 1));
    row.set_port(20'000 + i);
    row.set_state(v1::INSTANCE_STATE_IN_SERVICE);
    for (auto* time : {row.mutable_create_time(), row.mutable_start_time(),
                       row.mutable_in_service_time(), row.mutable_state_time()}) {
      *time = core::ToProto(start);
    }
    draft.Put(id, row);
    Running& running = running_[id];
    running = {.process = app.Launch(host, 0, true), .host = HostName(host), .since = start};
    Report(id, running, agent::v1::PROCESS_STATE_RUNNING, false);
  }
}

void Remuda::Begin(App& app, int desired) {
  now_ = TimeOf(0);
  seen_.start = now_;
  core::Draft draft(state_);
  AddCluster(app, draft);
  v1::CreateAutoScalingGroupRequest request;
  request.set_auto_scaling_group_id(kGroup);
  v1::AutoScalingGroup& group = *request.mutable_auto_scaling_group();
  *group.mutable_launch_template() = core::Numbered(kTemplate, 1);
  group.set_min(app.traits().min);
  group.set_max(app.traits().max);
  group.set_desired(desired);
  group.add_target_groups(kTargetGroup);
  *group.add_policies() = policy_;
  const auto made = core::Execute(draft, request, {seen_, now_});
  if (!made.ok()) Die(made.status().ToString());
  HearHosts(app, 0);
  AddRunning(app, draft, desired);
  Apply(draft);
  Hear(app, 0);
}

void Remuda::HearHosts(const App& app, int tick) {
  for (int host = 0; host < app.traits().hosts; ++host) {
    core::HostObservation& observed = seen_.hosts[HostName(host)];
    const bool is_up = !app.IsDown(host, tick);
    if (is_up) observed.last_seen = now_;
    if (is_up == observed.connected) continue;
    observed.connected = is_up;
    observed.reported = true;
    observed.hello.set_address(absl::StrCat("10.0.0.", host + 1));
    // What ran there is gone when it is back.
    if (is_up) {
      observed.instances.clear();
      observed.usage = {};
    }
    is_dirty_ = true;
  }
  seen_.proxies[kProxy].last_seen = now_;
}

void Remuda::Report(const std::string& id, const Running& running, agent::v1::ProcessState state,
                    bool is_requested) {
  agent::v1::InstanceStatus status;
  status.set_instance(id);
  status.set_state(state);
  status.set_port(20'000 + running.process);
  if (state == agent::v1::PROCESS_STATE_EXITED) {
    status.mutable_exit()->set_signal(is_requested ? 15 : 11);
    status.mutable_exit()->set_requested(is_requested);
  }
  core::Report(seen_.hosts[running.host], status, now_);
  is_dirty_ = true;
}

// What agents count, of those that are heard of.
void Remuda::HearUsage(const App& app) {
  std::map<std::string, agent::v1::UsageReport> reports;
  std::set<std::string> silent;
  for (auto& [id, running] : running_) {
    const auto process = app.processes().find(running.process);
    if (process == app.processes().end()) continue;
    running.cpu_micros += process->second.cpu * absl::ToDoubleMicroseconds(kTick);
    if (!process->second.has_metrics) {
      silent.insert(running.host);
      continue;
    }
    agent::v1::InstanceUsage& usage = *reports[running.host].add_instances();
    usage.set_instance(id);
    usage.set_cpu_millis(std::lround(1000 * process->second.cpu));
    usage.set_cpu_time_micros(std::lround(running.cpu_micros));
    *usage.mutable_counted_since() = core::ToProto(running.since);
  }
  for (auto& [name, host] : seen_.hosts) {
    // One of whose instances none is heard of says nothing at all.
    if (!host.connected || (silent.contains(name) && !reports.contains(name))) continue;
    core::TakeUsage(reports[name], now_, kTick, host.usage);
  }
}

void Remuda::HearInstance(const App& app, int tick, const std::string& id, Running& running) {
  core::HostObservation& host = seen_.hosts[running.host];
  if (!host.connected) return;
  const auto process = app.processes().find(running.process);
  if (process == app.processes().end()) {
    const auto status = host.instances.find(id);
    if (status != host.instances.end() &&
        status->second.state() == agent::v1::PROCESS_STATE_RUNNING) {
      Report(id, running, agent::v1::PROCESS_STATE_EXITED, false);
    }
    return;
  }
  if (running.is_healthy || tick + 1 < process->second.ready) return;
  if (!versions_[running.version].is_healthy) return;
  running.is_healthy = true;
  seen_.proxies[kProxy].health[{kTargetGroup, id}].set_state(v1::TARGET_STATE_HEALTHY);
  is_dirty_ = true;
}

void Remuda::Hear(const App& app, int tick) {
  HearHosts(app, tick);
  for (auto& [id, running] : running_) HearInstance(app, tick, id, running);
  HearUsage(app);
}

bool Remuda::Apply(core::Draft& draft) {
  const core::Changes changes = draft.Take();
  if (changes.empty()) return false;
  state_.Apply(changes, state_.commit() + 1);
  // Everyone has it at once.
  seen_.proxies[kProxy].confirmed_commit = state_.commit();
  for (auto& [name, host] : seen_.hosts) host.assignment.set_confirmed_commit(state_.commit());
  is_dirty_ = true;
  return true;
}

void Remuda::Turn() {
  is_dirty_ = false;
  core::Draft draft(state_);
  core::Observe(draft, seen_, now_, {});
  due_ = core::Reconcile(draft, seen_, now_, {});
  Apply(draft);
}

template <class Request>
void Remuda::Ask(const Request& request) {
  core::Draft draft(state_);
  const auto done = core::Execute(draft, request, {seen_, now_});
  if (!done.ok()) Die(done.status().ToString());
  Apply(draft);
}

template void Remuda::Ask(const v1::CreateDeploymentRequest&);
template void Remuda::Ask(const v1::SetDesiredCapacityRequest&);
template void Remuda::Ask(const v1::UpdateAutoScalingGroupRequest&);

void Remuda::Launch(App& app, int tick, const std::string& id, const v1::Instance& row) {
  const int host = std::atoi(row.host().c_str() + 1);
  Running& running = running_[id];
  running = {.process = app.Launch(host, tick),
             .host = row.host(),
             .version = row.launch_template().resolved_version(),
             .since = now_};
  const Version& version = versions_[running.version];
  Process& process = *app.Find(running.process);
  process.cpu_beside = version.cpu_beside;
  process.looks_busy = version.looks_busy;
  Report(id, running, agent::v1::PROCESS_STATE_RUNNING, false);
}

void Remuda::Follow(App& app, int tick) {
  std::vector<std::string> gone;
  for (auto& [id, running] : running_) {
    const auto* row = state_.Find<v1::Instance>(id);
    if (row == nullptr || (*row)->state() == v1::INSTANCE_STATE_TERMINATED) gone.push_back(id);
  }
  for (const std::string& id : gone) {
    app.Stop(running_[id].process);
    core::Forget(seen_.hosts[running_[id].host], id);
    seen_.proxies[kProxy].health.Erase({kTargetGroup, id});
    running_.erase(id);
  }
  for (const auto& [id, row] : state_.ListOfGroup(kGroup)) {
    if (row->state() == v1::INSTANCE_STATE_TERMINATED) continue;
    const auto known = running_.find(id);
    if (known == running_.end()) {
      const bool is_to_run = row->state() == v1::INSTANCE_STATE_PENDING;
      if (is_to_run && seen_.hosts[row->host()].connected) Launch(app, tick, id, *row);
      continue;
    }
    Process* process = app.Find(known->second.process);
    if (process == nullptr) continue;
    process->routed = row->state() == v1::INSTANCE_STATE_IN_SERVICE && row->withheld_by().empty();
    if (row->state() != v1::INSTANCE_STATE_STOPPING) continue;
    app.Stop(known->second.process);
    Report(id, known->second, agent::v1::PROCESS_STATE_EXITED, true);
  }
}

void Remuda::Evaluate() {
  core::FoldMetrics(state_, seen_, now_);
  if (!core::EvaluateGroups(state_, seen_, now_).empty()) is_dirty_ = true;
}

void Remuda::Step(App& app, int tick) {
  now_ = TimeOf(tick + 1);
  Hear(app, tick);
  Evaluate();
  int turns = 0;
  while (is_dirty_ || due_ <= now_) {
    if (++turns > kMostTurns) Die("a turn follows the other without end");
    Turn();
    Follow(app, tick);
  }
}

const v1::AutoScalingGroup& Remuda::group() const {
  return **state_.Find<v1::AutoScalingGroup>(kGroup);
}

int Remuda::desired() const { return core::DesiredOf(group()); }

int Remuda::CountIn(v1::InstanceState state) const {
  int count = 0;
  for (const auto& [id, row] : state_.ListOfGroup(kGroup)) count += row->state() == state;
  return count;
}

}  // namespace remuda::scaling_sim
