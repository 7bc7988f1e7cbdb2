// Each turn looks at what has changed only. Naming too much there costs time, too little is a bug:
// over random lives of a cluster, whenever the controller is at rest, a look at everything would
// decide nothing, the totals of votes are what counting anew gives, everyone has the newest view,
// and watchers show what is.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "controller/api/controller.h"
#include "controller/core/door/execute.h"
#include "controller/core/reconcile.h"
#include "controller/core/reconcile/gates.h"
#include "remuda/agent/v1/agent.pb.h"
#include "remuda/proxy/v1/proxy.pb.h"
#include "tests/unit/controller/engine/engine_seams.h"

namespace remuda {
namespace {

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

// A watcher of everything that reads what is touched only: as those of the API do.
class Mirror final : public Watcher {
 public:
  explicit Mirror(Engine& engine) : engine_(engine) {}
  void Look(const Touched& touched) override {
    Read(touched.all_targets ? nullptr : &touched.targets,
         touched.all_instances ? nullptr : &touched.instances);
  }
  void Close(const absl::Status&) override {}

  // What it shows that is not so; empty if all is.
  std::string Wrong() const {
    Mirror whole(engine_);
    whole.Read(nullptr, nullptr);
    for (const auto& [name, text] : whole.shown_) {
      const auto it = shown_.find(name);
      if (it == shown_.end()) return name + " is not shown";
      if (it->second != text) return "shown is " + it->second + ", it is " + text;
    }
    for (const auto& [name, text] : shown_) {
      if (!whole.shown_.contains(name)) return name + " is gone, and shown";
    }
    return "";
  }

 private:
  void Read(const std::set<core::TargetId>* targets, const std::set<std::string>* instances) {
    const core::Snapshot from = engine_.snapshot();
    v1::WatchTargetsRequest everywhere;
    everywhere.set_view(v1::TARGET_VIEW_FULL);
    if (targets == nullptr) {
      std::erase_if(shown_, [](const auto& e) { return e.first.starts_with("targetGroups/"); });
    } else {
      for (const auto& [group, id] : *targets) {
        shown_.erase("targetGroups/" + core::TargetKey(group, id));
      }
    }
    if (instances == nullptr) {
      std::erase_if(shown_, [](const auto& e) { return e.first.starts_with("instances/"); });
    } else {
      for (const std::string& id : *instances) shown_.erase("instances/" + id);
    }
    const auto targets_now = core::TargetsIn(from, everywhere, targets);
    const auto instances_now = core::InstancesIn(from, "", instances);
    ASSERT_TRUE(targets_now.ok() && instances_now.ok());
    for (const auto& [name, row] : *targets_now) shown_[name] = row.ShortDebugString();
    for (const auto& [name, row] : *instances_now) shown_[name] = row.ShortDebugString();
  }

  Engine& engine_;
  std::map<std::string, std::string> shown_;
};

constexpr int kHosts = 5;
constexpr int kProxies = 4;

class Cluster {
 public:
  // In every other one nothing happens that makes the controller look at everything: that would
  // cover up what it has overlooked.
  explicit Cluster(unsigned seed)
      : random_(seed),
        is_calm_(seed % 2 == 0),
        controller_({.identity = {.cluster_id = "c", .epoch = 1},
                     .engine = {.state = Begin(seed % 3 == 0 ? 0 : 8000),
                                .patience = {},
                                .on_leadership_lost = [](const absl::Status&) {}},
                     .version = "test"},
                    clock_, committer_, loop_, metrics_) {}

  std::string Run() {
    EXPECT_TRUE(controller_.watchers.Add(mirror_).ok());
    for (int i = 0; i < kHosts; ++i) Connect(HostName(i));
    for (int i = 0; i < kProxies; ++i) Join(ProxyName(i));
    for (int step = 0; step < 600 && wrong_.empty(); ++step) {
      const std::string what = Act();
      if (OneIn(10)) Check("after step " + std::to_string(step) + " (" + what + ")");
    }
    return wrong_;
  }

 private:
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
      draft.Put(core::LaunchTemplateKey("shop", version), launch);
    }
    v1::LoadBalancer balancer;
    balancer.set_name("loadBalancers/lb");
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
      *group.mutable_health_check_grace_period() = core::ToProto(absl::Seconds(2));
      draft.Put("g" + n, group);
    }
    draft.Put("lb", balancer);
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
      if (status.state() == agent::v1::PROCESS_STATE_EXITED) continue;
      status.set_instance(wish.instance());
      if (status.port() == 0) status.set_port(20'000 + ++ports_);
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
    controller_.proxies.OnOpened(proxies_[name]);
    proxy::v1::ConnectRequest request;
    request.mutable_hello()->set_proxy(name);
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
        wish.mutable_strategy()->mutable_blue_green();
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

  std::string Act() {
    switch (Below(24)) {
      case 0:
        Kill();
        return "a process ends";
      case 1:
        FindOtherwise();
        return "a proxy finds something else";
      case 2:
        SayBusy();
        return "a proxy says who is busy";
      case 3:
      case 4:
        Command();
        return "a command";
      case 5:
        if (OneIn(3)) Leave(agents_, controller_.agents, HostName(Below(kHosts)));
        return "an agent leaves";
      case 6:
        if (!is_calm_ && OneIn(3)) Leave(proxies_, controller_.proxies, ProxyName(Below(kProxies)));
        return "a proxy leaves";
      case 7:
        Connect(HostName(Below(kHosts)));
        Join(ProxyName(Below(kProxies)));
        return "somebody joins";
      case 8:
      case 9:
      case 10:
        clock_.now += absl::Milliseconds(Below(OneIn(6) ? 20'000 : 500));
        return "time";
      case 11:
      case 12:
      case 13:
        if (committer_.has_work()) committer_.Finish(!is_calm_ && OneIn(20) ? Refusal() : Number());
        return "a commit ends";
      case 14:
      case 15:
      case 16:
        controller_.Turn();
        return "a turn";
      case 17:
      case 18:
      case 19:
        AnswerAsAgent(HostName(Below(kHosts)));
        return "an agent answers";
      default:
        AnswerAsProxy(ProxyName(Below(kProxies)));
        return "a proxy answers";
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

  // Until nothing is left to decide now.
  void Rest() {
    for (int i = 0; i < 1000; ++i) {
      const absl::Time due = controller_.Turn();
      if (committer_.has_work()) {
        committer_.Finish(Number());
      } else if (due > clock_.now && controller_.engine.is_idle()) {
        return;
      } else if (due > clock_.now) {
        clock_.now = due;
      }
    }
    wrong_ = "it does not come to rest";
  }
  void Check(const std::string& when) {
    const bool answer = OneIn(2);
    // What is due within one interval, or waits for room, is looked at after it.
    for (int i = 0; i < 3; ++i) {
      Rest();
      for (int j = 0; answer && j < 50; ++j) {
        bool any = false;
        for (int k = 0; k < kHosts; ++k) any = AnswerAsAgent(HostName(k)) || any;
        for (int k = 0; k < kProxies; ++k) any = AnswerAsProxy(ProxyName(k)) || any;
        Rest();
        if (!any) break;
      }
      clock_.now += core::kRoomInterval + absl::Milliseconds(20);
    }
    Rest();
    if (!wrong_.empty()) return;
    CheckLooks(when);
    CheckVotes(when);
    CheckViews(when);
    if (const std::string wrong = mirror_->Wrong(); !wrong.empty()) wrong_ = when + ": " + wrong;
  }
  void CheckLooks(const std::string& when) {
    const core::State& state = controller_.engine.state();
    core::Draft draft(state);
    core::Scope all;
    for (const auto& [id, row] : state.All<v1::AutoScalingGroup>()) all.balanced.insert(id);
    core::Observe(draft, controller_.engine.seen(), clock_.now, all);
    core::Reconcile(draft, controller_.engine.seen(), clock_.now, all);
    for (const core::Edit& edit : draft.Take().edits) {
      if (edit.kind == core::Kind::kCounter || edit.kind == core::Kind::kActivity) continue;
      wrong_ += when + ": a look at everything edits " + edit.key + ": " +
                (edit.value == nullptr ? "deleted" : edit.value->ShortDebugString()) + "; ";
    }
  }
  void CheckVotes(const std::string& when) {
    const core::Observations& seen = controller_.engine.seen();
    core::Observations copy = seen;
    copy.votes = {};
    const core::Draft draft(controller_.engine.state());
    const core::Gates kept(draft, seen, clock_.now);
    const core::Gates anew(draft, copy, clock_.now);
    for (int i = 0; i < 3; ++i) {
      const std::string target_group = "tg" + std::to_string(i);
      for (const auto& [id, row] : controller_.engine.state().All<v1::Instance>()) {
        core::VoteTotal looked;
        for (const core::LiveProxy* proxy : kept.Serving(target_group)) {
          const auto* health =
              proxy->seen == nullptr ? nullptr : proxy->seen->health.Find({target_group, id});
          if (health == nullptr) continue;
          ++looked.reports;
          looked.healthy += health->state() == v1::TARGET_STATE_HEALTHY;
          looked.unhealthy += health->state() == v1::TARGET_STATE_UNHEALTHY;
          looked.unhealthy_now +=
              health->state() == v1::TARGET_STATE_UNHEALTHY && proxy->IsCurrent();
        }
        for (const core::Gates* gates : {&kept, &anew}) {
          const core::VoteTotal& total = gates->VotesOn(target_group, id);
          if (std::tie(total.reports, total.healthy, total.unhealthy, total.unhealthy_now) ==
              std::tie(looked.reports, looked.healthy, looked.unhealthy, looked.unhealthy_now)) {
            continue;
          }
          wrong_ = when + ": the votes on " + target_group + "/" + id + " are wrong";
        }
      }
    }
  }
  // Everyone with a session has the newest view, or it is on its way; who has it confirms all.
  void CheckViews(const std::string& when) {
    for (const auto& [name, end] : proxies_) {
      const ViewLog* view = controller_.proxy_views.ViewOf(name);
      if (view == nullptr || !end->updates.empty()) continue;
      const auto& seen = controller_.engine.seen().proxies.at(name);
      if (seen.config.has_rejected() && acked_[name] != view->sequence()) continue;
      if (acked_[name] != view->sequence()) wrong_ = when + ": " + name + " lacks the newest view";
      if (seen.confirmed_commit != controller_.engine.state().commit()) {
        wrong_ = when + ": " + name + " has not confirmed what it has";
      }
    }
    for (const auto& [name, end] : agents_) {
      const ViewLog* view = controller_.agent_views.ViewOf(name);
      if (view == nullptr || !end->updates.empty()) continue;
      if (acked_[name] != view->sequence()) wrong_ = when + ": " + name + " lacks the newest view";
    }
  }

  std::mt19937 random_;
  const bool is_calm_;
  HandClock clock_;
  HeldCommitter committer_;
  Metrics metrics_;
  Loop loop_{clock_, metrics_};
  Controller controller_;
  const std::shared_ptr<Mirror> mirror_ = std::make_shared<Mirror>(controller_.engine);
  std::map<std::string, std::shared_ptr<AgentEnd>> agents_;
  std::map<std::string, std::shared_ptr<ProxyEnd>> proxies_;
  std::map<std::string, std::map<std::string, agent::v1::InstanceStatus>> processes_;
  std::map<std::string, std::map<core::TargetId, v1::TargetState>> found_;
  std::map<std::string, int64_t> acked_;  // sequences
  int ports_ = 0;
  std::string wrong_;
};

TEST(LooksTest, ALookAtEverythingFindsNothingThatTurnsHaveOverlooked) {
  constexpr unsigned kSeeds = 40;
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    Cluster cluster(seed);
    const std::string wrong = cluster.Run();
    ASSERT_EQ(wrong, "") << "seed " << seed;
  }
}

}  // namespace
}  // namespace remuda
