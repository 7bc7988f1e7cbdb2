// A cluster of which all but the controller is the test's: hosts and proxies that answer as theirs
// do, people that ask for things, and a clock that is moved by hand. What happens follows from a
// seed. For looks_test.cc.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "controller/api/controller.h"
#include "controller/core/door/execute.h"
#include "remuda/agent/v1/agent.pb.h"
#include "remuda/proxy/v1/proxy.pb.h"
#include "tests/unit/controller/engine/engine_seams.h"

namespace remuda {

// The other end of a session: keeps what comes until it is its turn.
template <class Response>
class Receiver final : public Stream {
 public:
  explicit Receiver(std::string name) : name_(std::move(name)) {}
  void Send(Frame frame) override {
    Response response;
    ASSERT_TRUE(response.ParseFromString(*frame));
    if (response.has_update()) updates.push_back(response.update());
  }
  size_t queued() const override { return 0; }
  void Close(const absl::Status&) override { closed = true; }
  std::string peer() const override { return name_; }

  std::deque<std::decay_t<decltype(std::declval<Response>().update())>> updates;
  bool closed = false;

 private:
  const std::string name_;
};
using AgentEnd = Receiver<agent::v1::ConnectResponse>;
using ProxyEnd = Receiver<proxy::v1::ConnectResponse>;

inline constexpr int kHosts = 5;
inline constexpr int kProxies = 4;

class Cluster {
 protected:
  // If it is calm, nothing happens that makes the controller look at everything: that would
  // cover up what it has overlooked.
  Cluster(unsigned seed, bool is_calm)
      : random_(seed),
        is_calm_(is_calm),
        controller_({.identity = {.cluster_id = "c", .epoch = 1},
                     .engine = {.state = Begin(seed % 3 == 0 ? 0 : 8000),
                                .patience = {},
                                .on_leadership_lost = [](const absl::Status&) {},
                                .bounds = BoundsFor(seed)},
                     .version = "test"},
                    clock_, committer_, loop_, metrics_) {}

  // In some of them a turn may do next to nothing: what it leaves must not be lost.
  static TurnBounds BoundsFor(unsigned seed) {
    if (seed % 4 < 2) return {};
    if (seed % 4 == 2)
      return {.edits = 4, .most_edits = 4, .batch = 2, .instances = 24, .hosts = 2};
    return {.edits = 1, .most_edits = 1, .batch = 1, .instances = 1, .hosts = 1};
  }

  int Below(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }
  bool OneIn(int n) { return Below(n) == 0; }
  static std::string HostName(int i) { return "h" + std::to_string(i); }
  static std::string ProxyName(int i) { return "p" + std::to_string(i); }

  static core::State Begin(int port) {
    core::State state;
    core::Draft draft(state);
    for (int version = 1; version <= 2; ++version) {
      v1::LaunchTemplateVersion launch;
      launch.set_name("launchTemplates/shop");
      launch.set_version(version);
      launch.set_port(version == 1 ? port : 7000);
      if (version == 1) launch.mutable_limits()->set_memory("400");
      draft.Put(core::LaunchTemplateKey("shop", version), launch);
    }
    v1::LoadBalancer balancer;
    balancer.set_name("loadBalancers/lb");
    // Hosts of g0 may reach the load balancers, and the instances of g1.
    for (const std::string id : {"app", "edge"}) {
      v1::SecurityGroup row;
      row.set_name("securityGroups/" + id);
      row.add_ingress()->add_cidrs("10.9.0.0/16");
      if (id == "edge") row.mutable_ingress(0)->add_security_groups("app");
      draft.Put(id, row);
    }
    balancer.add_security_groups("edge");
    for (int i = 0; i < 3; ++i) {
      const std::string n = std::to_string(i);
      v1::TargetGroup target_group;
      target_group.set_name("targetGroups/tg" + n);
      *target_group.mutable_deregistration_delay() = core::ToProto(absl::Seconds(60));
      draft.Put("tg" + n, target_group);
      balancer.add_listeners()
          ->mutable_default_action()
          ->mutable_forward()
          ->add_target_groups()
          ->set_target_group("tg" + n);
      v1::AutoScalingGroup group;
      group.set_name("autoScalingGroups/g" + n);
      group.mutable_launch_template()->set_launch_template("shop");
      group.mutable_launch_template()->set_resolved_version(1);
      group.set_max(6);
      group.set_desired(3);
      group.add_target_groups("tg" + n);
      if (i == 1) group.add_target_groups("tg2");
      if (i != 2) group.add_security_groups(i == 0 ? "app" : "edge");
      *group.mutable_health_check_grace_period() = core::ToProto(absl::Seconds(2));
      draft.Put("g" + n, group);
    }
    draft.Put("lb", balancer);
    balancer.set_name("loadBalancers/lb2");
    (*balancer.mutable_proxy_selector())["k"] = "v";
    draft.Put("lb2", balancer);
    state.Apply(draft.Take(), 1);
    return state;
  }

  // --- Agents ---
  void Say(const std::string& host, const agent::v1::ConnectRequest& message) {
    controller_.agents.OnMessage(agents_.at(host), message.SerializeAsString());
    if (agents_.at(host)->closed) agents_.erase(host);
  }
  void Connect(const std::string& host) {
    if (agents_.contains(host)) return;
    agents_[host] = std::make_shared<AgentEnd>(host);
    controller_.agents.OnOpened(agents_[host]);
    agent::v1::ConnectRequest request;
    auto& hello = *request.mutable_hello();
    hello.set_host(host);
    hello.set_address("10.0.0." + host.substr(1));
    hello.set_zone(host.back() % 2 == 0 ? "a" : "b");
    if (OneIn(6)) hello.set_zone("c");
    if (OneIn(3)) (*hello.mutable_labels())["k"] = "v";
    if (OneIn(3)) hello.mutable_capacity()->set_memory_bytes(1000);
    for (const auto& [id, status] : processes_[host]) *hello.add_instances() = status;
    Say(host, request);
  }
  bool AnswerAsAgent(const std::string& host) {
    const auto it = agents_.find(host);
    if (it == agents_.end() || it->second->updates.empty()) return false;
    const agent::v1::AssignmentUpdate update = it->second->updates.front();
    it->second->updates.pop_front();
    agent::v1::ConnectRequest report;
    for (const auto& wish : update.upserts()) {
      const bool stop = wish.desired() == agent::v1::DESIRED_STATE_STOPPED;
      // What never ran is not there to be stopped: nothing is said of it.
      if (stop && !processes_[host].contains(wish.instance())) continue;
      auto& status = processes_[host][wish.instance()];
      if (status.state() == agent::v1::PROCESS_STATE_EXITED &&
          (stop || wish.generation() <= status.generation())) {
        continue;
      }
      status.set_instance(wish.instance());
      if (!stop) status.set_generation(std::max(status.generation(), wish.generation()));
      if (status.port() == 0) status.set_port(20'000 + ++ports_);
      if (!stop && OneIn(6)) {
        status.set_state(OneIn(2) ? agent::v1::PROCESS_STATE_FETCHING
                                  : agent::v1::PROCESS_STATE_STARTING);
        if (OneIn(2)) status.set_message("in the way");
        *report.mutable_report()->add_instances() = status;
        continue;
      }
      status.clear_message();
      status.set_state(stop        ? agent::v1::PROCESS_STATE_EXITED
                       : OneIn(20) ? agent::v1::PROCESS_STATE_FAILED
                                   : agent::v1::PROCESS_STATE_RUNNING);
      if (stop) status.mutable_exit()->set_requested(true);
      *report.mutable_report()->add_instances() = status;
    }
    for (const std::string& id : update.removed()) {
      processes_[host].erase(id);
      report.mutable_report()->add_removed(id);
    }
    agent::v1::ConnectRequest ack;
    *ack.mutable_ack()->mutable_revision() = update.revision();
    acked_[host] = update.revision().sequence();
    const bool ack_first = OneIn(2);
    if (ack_first) Say(host, ack);
    if (report.has_report()) Say(host, report);
    if (!ack_first) Say(host, ack);
    return true;
  }
  void GoOn() {
    const std::string host = HostName(Below(kHosts));
    if (!agents_.contains(host)) return;
    agent::v1::ConnectRequest report;
    for (auto& [id, status] : processes_[host]) {
      if (status.state() != agent::v1::PROCESS_STATE_FETCHING &&
          status.state() != agent::v1::PROCESS_STATE_STARTING)
        continue;
      status.clear_message();
      status.set_state(OneIn(6) ? agent::v1::PROCESS_STATE_FAILED
                                : agent::v1::PROCESS_STATE_RUNNING);
      *report.mutable_report()->add_instances() = status;
    }
    if (report.has_report()) Say(host, report);
  }
  void Kill() {
    const std::string host = HostName(Below(kHosts));
    if (!agents_.contains(host) || processes_[host].empty()) return;
    auto it = std::next(processes_[host].begin(), Below(static_cast<int>(processes_[host].size())));
    it->second.set_state(agent::v1::PROCESS_STATE_EXITED);
    it->second.mutable_exit()->set_signal(9);
    agent::v1::ConnectRequest report;
    *report.mutable_report()->add_instances() = it->second;
    Say(host, report);
  }

  // --- Proxies ---
  void Say(const std::string& proxy, const proxy::v1::ConnectRequest& message) {
    controller_.proxies.OnMessage(proxies_.at(proxy), message.SerializeAsString());
    if (proxies_.at(proxy)->closed) proxies_.erase(proxy);
  }
  void Join(const std::string& name) {
    if (proxies_.contains(name)) return;
    proxies_[name] = std::make_shared<ProxyEnd>(name);
    acked_.erase(name);
    controller_.proxies.OnOpened(proxies_[name]);
    proxy::v1::ConnectRequest request;
    request.mutable_hello()->set_proxy(name);
    if (OneIn(3)) (*request.mutable_hello()->mutable_labels())["k"] = "v";
    Say(name, request);
  }
  void AddHealth(const std::string& name, const core::TargetId& target,
                 proxy::v1::HealthReport& out) {
    auto& health = *out.add_targets();
    health.set_target_group(target.first);
    health.set_target(target.second);
    health.set_state(found_[name][target]);
  }
  bool AnswerAsProxy(const std::string& name) {
    const auto it = proxies_.find(name);
    if (it == proxies_.end() || it->second->updates.empty()) return false;
    const proxy::v1::ConfigUpdate update = it->second->updates.front();
    it->second->updates.pop_front();
    auto& found = found_[name];
    if (!update.has_base()) found.clear();
    proxy::v1::ConnectRequest report;
    for (const auto& target : update.upserts().targets()) {
      const core::TargetId id{target.target_group(), target.id()};
      if (target.state() != proxy::v1::Target::STATE_ACTIVE) continue;
      found[id] = OneIn(8) ? v1::TARGET_STATE_UNHEALTHY : v1::TARGET_STATE_HEALTHY;
      AddHealth(name, id, *report.mutable_health());
    }
    for (const std::string& key : update.removed_targets()) {
      found.erase({key.substr(0, key.find('/')), key.substr(key.find('/') + 1)});
    }
    if (!update.has_base()) report.mutable_health()->set_full(true);
    proxy::v1::ConnectRequest ack;
    if (!is_calm_ && OneIn(25)) {
      *ack.mutable_nack()->mutable_revision() = update.revision();
      ack.mutable_nack()->set_resource("targetGroups/tg0");
      ack.mutable_nack()->set_reason("no");
    } else {
      *ack.mutable_ack()->mutable_revision() = update.revision();
      acked_[name] = update.revision().sequence();
    }
    for (const auto& [id, state] : found) {
      if (!ack.has_ack() || !OneIn(5)) continue;
      auto& busy = *ack.mutable_ack()->add_busy();
      busy.set_target_group(id.first);
      busy.set_target(id.second);
      busy.set_requests_in_flight(1);
    }
    Say(name, ack);
    if (report.has_health() && proxies_.contains(name)) Say(name, report);
    return true;
  }
  void FindOtherwise() {
    const std::string name = ProxyName(Below(kProxies));
    if (!proxies_.contains(name) || found_[name].empty()) return;
    auto it = std::next(found_[name].begin(), Below(static_cast<int>(found_[name].size())));
    it->second = OneIn(2) ? v1::TARGET_STATE_UNHEALTHY : v1::TARGET_STATE_HEALTHY;
    proxy::v1::ConnectRequest report;
    AddHealth(name, it->first, *report.mutable_health());
    Say(name, report);
  }
  void SayBusy() {
    const std::string name = ProxyName(Below(kProxies));
    if (!proxies_.contains(name)) return;
    proxy::v1::ConnectRequest report;
    auto& drain = *report.mutable_drain();
    for (const auto& [id, row] : controller_.engine.state().All<v1::Instance>()) {
      if (row->state() != v1::INSTANCE_STATE_DRAINING || OneIn(2)) continue;
      auto& busy = *drain.add_busy();
      busy.set_target_group("tg" + row->auto_scaling_group().substr(1));
      busy.set_target(id);
      busy.set_requests_in_flight(Below(2));
    }
    Say(name, report);
  }

  // --- People ---
  template <class Request>
  void Ask(Request request) {
    controller_.engine.Add(
        {.decide = [request](core::Draft& draft, const core::Context& context) -> absl::Status {
           return core::Execute(draft, request, context).status();
         },
         .done = [](const absl::Status&, const core::State&) {}});
  }
  void Command() {
    const std::string group = "autoScalingGroups/g" + std::to_string(Below(3));
    const auto& instances = controller_.engine.state().All<v1::Instance>();
    switch (Below(9)) {
      case 0: {
        v1::SetDesiredCapacityRequest request;
        request.set_name(group);
        request.set_desired(Below(7));
        return Ask(request);
      }
      case 1: {
        if (instances.empty()) return;
        v1::TerminateInstanceRequest request;
        request.set_name(
            "instances/" +
            std::next(instances.begin(), Below(static_cast<int>(instances.size())))->first);
        return Ask(request);
      }
      case 2: {
        v1::CreateDeploymentRequest request;
        auto& wish = *request.mutable_deployment();
        wish.set_auto_scaling_group(group.substr(group.find('/') + 1));
        wish.mutable_to()->set_launch_template("shop");
        wish.mutable_to()->set_version(std::to_string(1 + Below(2)));
        *wish.mutable_health_deadline() = core::ToProto(absl::Seconds(20));
        RandomStrategy(*wish.mutable_strategy());
        if (OneIn(4)) wish.mutable_mirror()->set_percent(10);
        if (OneIn(4)) wish.add_previews()->mutable_cookie()->set_name("beta");
        request.set_supersede(OneIn(3));
        return Ask(request);
      }
      case 3: {
        v1::DrainHostRequest request;
        request.set_name("hosts/" + HostName(Below(kHosts)));
        return Ask(request);
      }
      case 4:
      case 5: {
        v1::UncordonHostRequest request;
        request.set_name("hosts/" + HostName(Below(kHosts)));
        return Ask(request);
      }
      case 6: {
        v1::RegisterTargetsRequest request;
        request.set_target_group("targetGroups/tg0");
        auto& target = *request.add_targets();
        target.set_address("10.9.0.1");
        target.set_port(80 + Below(3));
        return Ask(request);
      }
      case 7: {
        v1::DeregisterTargetsRequest request;
        request.set_target_group("targetGroups/tg0");
        auto& target = *request.add_targets();
        target.set_address("10.9.0.1");
        target.set_port(80 + Below(3));
        return Ask(request);
      }
      default: {
        v1::RollbackDeploymentRequest request;
        const auto& all = controller_.engine.state().All<v1::Deployment>();
        if (all.empty()) return;
        request.set_name("deployments/" + std::prev(all.end())->first);
        return Ask(request);
      }
    }
  }

  void RandomStrategy(v1::DeploymentStrategy& out) {
    const auto wait = core::ToProto(absl::Seconds(Below(10)));
    switch (Below(6)) {
      case 0:
        out.mutable_rolling()->set_min_healthy_percent(50 * Below(3));
        out.mutable_rolling()->set_max_percent(100 + 50 * Below(3));
        *out.mutable_rolling()->mutable_bake() = wait;
        return;
      case 1:
        out.mutable_in_place()->set_min_healthy_percent(50 * Below(3));
        return;
      case 2:
        out.mutable_canary()->set_percent(1 + Below(99));
        *out.mutable_canary()->mutable_interval() = wait;
        return;
      case 3:
        out.mutable_linear()->set_step_percent(20 + Below(50));
        *out.mutable_linear()->mutable_interval() = wait;
        return;
      case 4:
        out.add_steps()->set_traffic(Below(50));
        *out.add_steps()->mutable_pause() = wait;
        out.add_steps()->mutable_approval();
        return;
      default:
        out.mutable_blue_green();
    }
  }

  template <class T, class Fn>
  void Edit(const std::string& key, Fn fn) {
    controller_.engine.Add(
        {.decide = [key, fn](core::Draft& draft, const core::Context&) -> absl::Status {
           const auto row = draft.Find<T>(key);
           if (row == nullptr) return absl::NotFoundError(key);
           T after = *row;
           fn(after);
           draft.Put(key, std::move(after));
           return absl::OkStatus();
         },
         .done = [](const absl::Status&, const core::State&) {}});
  }
  template <class Request>
  void AskDeployment() {
    Request request;
    const auto& all = controller_.engine.state().All<v1::Deployment>();
    if (all.empty()) return;
    request.set_name("deployments/" +
                     std::next(all.begin(), Below(static_cast<int>(all.size())))->first);
    Ask(request);
  }
  void Reconfigure() {
    const std::string g = "g" + std::to_string(Below(3));
    const std::string tg = "tg" + std::to_string(Below(3));
    const int n = Below(1000);
    switch (Below(16)) {
      case 0:
        return Edit<v1::TargetGroup>(tg, [n](auto& row) {
          *row.mutable_deregistration_delay() = core::ToProto(absl::Seconds(n % 90));
        });
      case 1:
        return Edit<v1::AutoScalingGroup>(g, [n](auto& row) {
          row.clear_zones();
          if (n % 3 == 0) row.add_zones("a");
          if (n % 2 == 0) row.add_zones("b");
        });
      case 2:
        return Edit<v1::AutoScalingGroup>(g, [n](auto& row) {
          row.clear_host_selector();
          if (n % 4 == 0) (*row.mutable_host_selector())["k"] = "v";
        });
      case 3:
        return Edit<v1::AutoScalingGroup>(g, [n](auto& row) {
          row.clear_target_groups();
          for (int i = 0; i < 3; ++i)
            if ((n >> i) % 2 == 0) row.add_target_groups("tg" + std::to_string(i));
        });
      case 4:
        return Edit<v1::AutoScalingGroup>(g, [n](auto& row) {
          row.set_max(1 + n % 6);
          row.set_min(0);
        });
      case 5:
        return Edit<v1::AutoScalingGroup>(
            g, [n](auto& row) { row.mutable_launch_template()->set_resolved_version(1 + n % 2); });
      case 6:
        return Edit<v1::AutoScalingGroup>(g, [n](auto& row) {
          *row.mutable_health_check_grace_period() = core::ToProto(absl::Seconds(n % 20));
        });
      case 7: {
        v1::CordonHostRequest request;
        request.set_name("hosts/" + HostName(Below(kHosts)));
        return Ask(request);
      }
      case 8: {
        v1::DeleteHostRequest request;
        request.set_name("hosts/" + HostName(Below(kHosts)));
        return Ask(request);
      }
      case 9:
        return AskDeployment<v1::PauseDeploymentRequest>();
      case 10:
        return AskDeployment<v1::ResumeDeploymentRequest>();
      case 11:
        if (OneIn(2)) return AskDeployment<v1::ApproveDeploymentRequest>();
        return AskDeployment<v1::PromoteDeploymentRequest>();
      case 12: {
        if (!OneIn(3)) return;
        v1::DeleteAutoScalingGroupRequest request;
        request.set_name("autoScalingGroups/" + g);
        request.set_force(true);
        return Ask(request);
      }
      case 13: {
        v1::CreateAutoScalingGroupRequest request;
        request.set_auto_scaling_group_id(g);
        auto& group = *request.mutable_auto_scaling_group();
        group.mutable_launch_template()->set_launch_template("shop");
        group.mutable_launch_template()->set_version(std::to_string(1 + n % 2));
        group.set_max(6);
        group.set_desired(3);
        group.add_target_groups("tg" + g.substr(1));
        return Ask(request);
      }
      case 14: {
        if (is_calm_) return;
        v1::DeleteProxyRequest request;
        request.set_name("proxies/" + ProxyName(Below(kProxies)));
        return Ask(request);
      }
      default:
        if (is_calm_) return;
        return Edit<v1::LoadBalancer>(OneIn(2) ? "lb" : "lb2", [n](auto& row) {
          row.clear_listeners();
          for (int i = 0; i < 3; ++i)
            if ((n >> i) % 3 != 0)
              row.add_listeners()
                  ->mutable_default_action()
                  ->mutable_forward()
                  ->add_target_groups()
                  ->set_target_group("tg" + std::to_string(i));
        });
    }
  }
  template <class Ends>
  static void Leave(Ends& ends, StreamHandler& sessions, const std::string& name) {
    const auto it = ends.find(name);
    if (it == ends.end()) return;
    const auto end = it->second;
    ends.erase(it);
    sessions.OnClosed(end);
  }
  absl::StatusOr<int64_t> Number() { return controller_.engine.state().commit() + 1; }
  static absl::StatusOr<int64_t> Refusal() { return absl::UnavailableError("the disk is full"); }

  // Until nothing is left to decide now. Whether that came.
  bool Rest() {
    for (int i = 0; i < 1000; ++i) {
      const absl::Time due = controller_.Turn();
      if (committer_.has_work()) {
        committer_.Finish(Number());
      } else if (due > clock_.now && controller_.engine.is_idle()) {
        return true;
      } else if (due > clock_.now) {
        clock_.now = due;
      }
    }
    return false;
  }

  std::mt19937 random_;
  const bool is_calm_;
  HandClock clock_;
  HeldCommitter committer_;
  Metrics metrics_;
  Loop loop_{clock_, metrics_};
  Controller controller_;
  std::map<std::string, std::shared_ptr<AgentEnd>> agents_;
  std::map<std::string, std::shared_ptr<ProxyEnd>> proxies_;
  std::map<std::string, std::map<std::string, agent::v1::InstanceStatus>> processes_;
  std::map<std::string, std::map<core::TargetId, v1::TargetState>> found_;
  std::map<std::string, int64_t> acked_;  // sequences
  int ports_ = 0;
};

}  // namespace remuda
