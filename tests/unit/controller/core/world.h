// A small world for tests of the core: committed state, reports as the test says them, time moved
// by hand.
//
// Step() is one turn of the controller: observe, reconcile, commit; and it checks that a second
// turn would do nothing.
#pragma once

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "controller/core/model/draft.h"
#include "controller/core/model/names.h"
#include "controller/core/model/observations.h"
#include "controller/core/reconcile.h"
#include "controller/core/views/assignment.h"
#include "controller/core/views/proxy_config.h"
#include "controller/core/views/target_group_view.h"

namespace remuda::core {

class World {
 public:
  World() { seen.start = now; }

  State state;
  Observations seen;
  Time now = absl::FromUnixSeconds(1'000'000);
  Time due = absl::InfiniteFuture();

  template <class T>
  void Put(const std::string& key, const T& value) {
    Draft draft(state);
    draft.Put(key, value);
    state.Apply(draft.Take(), state.commit() + 1);
  }
  template <class T>
  T Get(const std::string& key) const {
    const auto* entry = state.Find<T>(key);
    return entry == nullptr ? T() : **entry;
  }
  template <class T>
  void Edit(const std::string& key, const std::function<void(T&)>& edit) {
    T value = Get<T>(key);
    edit(value);
    Put(key, value);
  }

  // One turn. Answers the number of edits.
  size_t Step() {
    const Changes changes = Decide();
    if (!changes.empty()) state.Apply(changes, state.commit() + 1);
    const Changes again = Decide();
    EXPECT_TRUE(again.empty()) << "planning again edits " << again.edits.front().key;
    return changes.edits.size();
  }
  void Advance(Duration duration) {
    now += duration;
    for (auto& [id, host] : seen.hosts) {
      if (host.connected) host.last_seen = now;
    }
    for (auto& [id, proxy] : seen.proxies) {
      if (proxy.connected) proxy.last_seen = now;
    }
    Step();
  }

  void Template(const std::string& name, int version, int port) {
    v1::LaunchTemplateVersion row;
    row.set_name(VersionName(name, version));
    row.set_version(version);
    row.set_port(port);
    Put(LaunchTemplateKey(name, version), row);
  }
  void Group(const std::string& id, int min, int max, int desired,
             const std::function<void(v1::AutoScalingGroup&)>& edit = nullptr) {
    v1::AutoScalingGroup row;
    row.set_name("autoScalingGroups/" + id);
    row.mutable_launch_template()->set_launch_template("shop");
    row.mutable_launch_template()->set_resolved_version(1);
    row.set_min(min);
    row.set_max(max);
    row.set_desired(desired);
    *row.mutable_health_check_grace_period() = ToProto(absl::Seconds(30));
    if (edit) edit(row);
    Put(id, row);
  }
  void Desired(const std::string& id, int desired) {
    Edit<v1::AutoScalingGroup>(id, [&](auto& row) { row.set_desired(desired); });
  }
  // A target group that load balancer `lb` forwards to.
  void Balanced(const std::string& target_group, Duration delay = absl::Seconds(10)) {
    v1::TargetGroup row;
    row.set_name("targetGroups/" + target_group);
    *row.mutable_deregistration_delay() = ToProto(delay);
    Put(target_group, row);
    v1::LoadBalancer balancer;
    balancer.set_name("loadBalancers/lb");
    balancer.add_listeners()
        ->mutable_default_action()
        ->mutable_forward()
        ->add_target_groups()
        ->set_target_group(target_group);
    Put<v1::LoadBalancer>("lb", balancer);
  }
  void Host(const std::string& id, const std::string& zone = "a") {
    HostObservation& host = seen.hosts[id];
    host.connected = host.reported = true;
    host.last_seen = now;
    host.hello.set_host(id);
    host.hello.set_address("10.0.0." + id.substr(1));
    host.hello.set_zone(zone);
  }
  void Silence(const std::string& host) { seen.hosts[host].connected = false; }
  void Proxy(const std::string& id) {
    ProxyObservation& proxy = seen.proxies[id];
    proxy.connected = proxy.reported = true;
    proxy.last_seen = now;
    proxy.hello.set_proxy(id);
  }

  // Reports.
  agent::v1::InstanceStatus& Status(const std::string& id) {
    auto& status = seen.hosts[Get<v1::Instance>(id).host()].instances[id];
    status.set_instance(id);
    return status;
  }
  void Runs(const std::string& id, int port = 0) {
    auto& status = Status(id);
    status.set_state(agent::v1::PROCESS_STATE_RUNNING);
    status.set_generation(Get<v1::Instance>(id).generation());
    const int given = Get<v1::Instance>(id).port();
    status.set_port(port != 0 ? port : given != 0 ? given : 30000);
  }
  // Its agent does what it is told.
  void Obeys(const std::string& id) {
    const auto assigned = AssignmentFor(state, seen, Get<v1::Instance>(id).host()).at(id);
    if (assigned.desired() != agent::v1::DESIRED_STATE_PREPARED) return Runs(id);
    Status(id).set_state(agent::v1::PROCESS_STATE_PREPARED);
  }
  void Killed(const std::string& id, int signal = 9) {
    auto& status = Status(id);
    status.set_state(agent::v1::PROCESS_STATE_EXITED);
    status.mutable_exit()->set_code(-1);
    status.mutable_exit()->set_signal(signal);
  }
  void Stopped(const std::string& id) {
    auto& status = Status(id);
    status.set_state(agent::v1::PROCESS_STATE_EXITED);
    status.mutable_exit()->set_requested(true);
  }
  void Finds(const std::string& proxy, const std::string& target_group, const std::string& id,
             v1::TargetState health) {
    auto& entry = seen.proxies[proxy].health[{target_group, id}];
    entry.set_state(health);
    if (health == v1::TARGET_STATE_UNHEALTHY) entry.set_reason("Target.Timeout");
  }
  void FindsAll(v1::TargetState health) {
    for (auto& [proxy_id, proxy] : seen.proxies) {
      for (const auto& [id, row] : state.All<v1::Instance>()) {
        const auto group = Get<v1::AutoScalingGroup>(row->auto_scaling_group());
        for (const auto& target_group : group.target_groups()) {
          Finds(proxy_id, target_group, id, health);
        }
      }
    }
  }
  void Confirm() {
    for (auto& [id, proxy] : seen.proxies) {
      if (proxy.connected) proxy.confirmed_commit = state.commit();
    }
  }
  // All agents and proxies do what they are asked, until nothing changes.
  void Settle() {
    for (int i = 0; i < 40; ++i) {
      size_t edits = Step();
      for (const auto& [id, row] : state.All<v1::Instance>()) {
        const auto state_of = row->state();
        if (!seen.hosts[row->host()].connected) continue;
        const auto before = seen.hosts[row->host()].instances;
        if (state_of == v1::INSTANCE_STATE_PENDING) Obeys(id);
        if (state_of == v1::INSTANCE_STATE_STOPPING) Stopped(id);
      }
      FindsAll(v1::TARGET_STATE_HEALTHY);
      Confirm();
      edits += Step();
      if (edits == 0) return;
    }
    FAIL() << "does not settle";
  }

  std::vector<std::string> Ids(const std::string& group,
                               const std::vector<v1::InstanceState>& states) const {
    std::vector<std::string> out;
    for (const std::string& id : state.InstancesOfGroup(group)) {
      const auto is = Get<v1::Instance>(id).state();
      if (std::find(states.begin(), states.end(), is) != states.end()) out.push_back(id);
    }
    return out;
  }
  std::vector<std::string> InService(const std::string& group) const {
    return Ids(group, {v1::INSTANCE_STATE_IN_SERVICE});
  }
  std::vector<std::string> Pending(const std::string& group) const {
    return Ids(group, {v1::INSTANCE_STATE_PENDING});
  }
  // The newest activity whose description holds the text.
  v1::Activity LastActivity(const std::string& text) const {
    v1::Activity out;
    for (const auto& [key, row] : state.All<v1::Activity>()) {
      if (row->description().find(text) != std::string::npos) out = *row;
    }
    return out;
  }
  int CountActivities(const std::string& text) const {
    int count = 0;
    for (const auto& [key, row] : state.All<v1::Activity>()) {
      if ((row->description() + " " + row->cause()).find(text) != std::string::npos) ++count;
    }
    return count;
  }

 private:
  Changes Decide() {
    Draft draft(state);
    Observe(draft, seen, now, {});
    due = Reconcile(draft, seen, now, {});
    return draft.Take();
  }
};

}  // namespace remuda::core
