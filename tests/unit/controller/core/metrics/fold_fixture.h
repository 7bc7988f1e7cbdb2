// A group whose agents and proxies tell their counters every period. For fold_*test.cc.
#pragma once

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "controller/core/metrics/fold.h"
#include "controller/core/model/draft.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/names.h"
#include "controller/core/model/subset_name.h"

namespace remuda::core {

inline constexpr Duration kPeriod = absl::Seconds(5);

// A group "web" in target group "tg", instances on hosts, proxies that serve it. Every Period() all
// agents and proxies that speak tell their counters, and the values are folded.
class FoldTest : public ::testing::Test {
 protected:
  FoldTest() {
    seen_.start = now_;
    seen_.metrics.period = kPeriod;
    v1::TargetGroup target_group;
    target_group.set_name("targetGroups/tg");
    Put("tg", target_group);
    v1::LoadBalancer balancer;
    balancer.add_listeners()
        ->mutable_default_action()
        ->mutable_forward()
        ->add_target_groups()
        ->set_target_group("tg");
    Put("lb", balancer);
    Template(1);
    v1::AutoScalingGroup group;
    group.set_name("autoScalingGroups/web");
    group.add_target_groups("tg");
    group.set_max(10);
    group.set_desired(3);
    *group.mutable_launch_template() = Numbered("shop", 1);
    Put("web", group);
  }

  template <class T>
  void Put(const std::string& key, const T& row) {
    Draft draft(state_);
    draft.Put(key, row);
    state_.Apply(draft.Take(), state_.commit() + 1);
  }
  template <class T>
  void Edit(const std::string& key, const std::function<void(T&)>& edit) {
    T row = **state_.Find<T>(key);
    edit(row);
    Put(key, row);
  }
  void Template(int version, const std::string& cpu = "", const std::string& memory = "") {
    v1::LaunchTemplateVersion row;
    row.mutable_limits()->set_cpu(cpu);
    row.mutable_limits()->set_memory(memory);
    Put(LaunchTemplateKey("shop", version), row);
  }

  // An instance that has been in service for an hour, alone on a host of its own.
  void Instance(const std::string& id, int version = 1,
                const std::function<void(v1::Instance&)>& edit = nullptr) {
    v1::Instance row;
    row.set_auto_scaling_group("web");
    row.set_host("h-" + id);
    row.set_state(v1::INSTANCE_STATE_IN_SERVICE);
    *row.mutable_launch_template() = Numbered("shop", version);
    for (auto* time :
         {row.mutable_create_time(), row.mutable_start_time(), row.mutable_in_service_time()}) {
      *time = ToProto(now_ - absl::Hours(1));
    }
    if (edit) edit(row);
    Put(id, row);
    v1::Host host;
    host.mutable_capacity()->set_memory_bytes(1'000'000);
    host.mutable_capacity()->set_cpu_millis(8000);
    Put(row.host(), host);
    agents_[id] = {};
  }
  void Proxy(const std::string& id) {
    Put(id, v1::Proxy());
    ProxyObservation& proxy = seen_.proxies[id];
    proxy.connected = true;
    proxy.last_seen = now_;
    proxies_[id] = {};
  }
  void Deploy(int from, int to, std::optional<int> percent,
              v1::DeploymentState is = v1::DEPLOYMENT_STATE_IN_PROGRESS) {
    v1::Deployment row;
    row.set_name("deployments/web-1");
    row.set_auto_scaling_group("web");
    *row.mutable_from() = Numbered("shop", from);
    *row.mutable_to() = Numbered("shop", to);
    row.set_state(is);
    auto& step = *row.add_steps();
    if (percent) {
      step.set_traffic(*percent);
      row.set_traffic_percent(*percent);
    } else {
      step.mutable_replace();
    }
    row.set_current_step(1);
    Put("web-1", row);
  }

  // What each tells from here on, a second.
  struct Agent {
    double cores = 0;
    int64_t memory = 0;
    int restarts = 0;
    bool is_silent = false;
    int64_t cpu_micros = 777'000'000;
  };
  struct Serving {
    std::map<std::string, int64_t> requests;  // a second, by subset
    int64_t in_flight = 0;
    int64_t held = 0;
    std::pair<std::string, int64_t> hanging = {};  // subset, in flight
    bool is_silent = false;
    std::map<std::string, int64_t> counted = {};
  };

  void Tell() {
    for (auto& [id, agent] : agents_) {
      agent.cpu_micros += static_cast<int64_t>(agent.cores * absl::ToDoubleMicroseconds(kPeriod));
      if (agent.is_silent) continue;
      agent::v1::UsageReport report;
      agent::v1::InstanceUsage& usage = *report.add_instances();
      usage.set_instance(id);
      usage.set_cpu_time_micros(agent.cpu_micros);
      usage.set_memory_bytes(agent.memory);
      usage.set_restarts(agent.restarts);
      TakeUsage(report, now_, kPeriod, seen_.hosts["h-" + id].usage);
    }
    for (auto& [id, proxy] : proxies_) {
      if (proxy.is_silent) continue;
      proxy::v1::StatsReport report;
      for (const auto& [subset, rate] : proxy.requests) {
        proxy::v1::SubsetStats& stats = *report.add_subsets();
        stats.set_target_group("tg");
        stats.set_subset(subset);
        stats.set_requests(proxy.counted[subset] += rate * absl::ToInt64Seconds(kPeriod));
        stats.set_in_flight(proxy.hanging.first == subset ? proxy.hanging.second : proxy.in_flight);
        stats.mutable_latency()->add_gaps(81);  // 16 to 18 ms
        stats.mutable_latency()->add_counts(stats.requests());
      }
      if (proxy.held > 0) {
        report.add_groups()->set_target_group("tg");
        report.mutable_groups(0)->set_held(proxy.held);
      }
      ProxyObservation& seen = seen_.proxies[id];
      seen.last_seen = now_;
      TakeFlows(state_, report, now_, kPeriod, seen.counted.flows, seen_.flows);
      AddReport(state_, std::move(*report.mutable_subsets()), seen.counted, seen_.traffic);
    }
  }
  // The newest point.
  const MetricPoint& Period(int times = 1) {
    for (int i = 0; i < times; ++i) {
      now_ += kPeriod;
      Tell();
      FoldMetrics(state_, seen_, now_);
    }
    return seen_.metrics.histories["web"].points.back();
  }

  State state_;
  Observations seen_;
  Time now_ = absl::FromUnixSeconds(1'000'000);
  std::map<std::string, Agent> agents_;
  std::map<std::string, Serving> proxies_;
};

}  // namespace remuda::core
