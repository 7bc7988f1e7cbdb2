// What a turn of the controller's loop costs: the real Controller, in process, with agents and
// proxies that answer at once and a store that is always ready. CPU seconds of this one thread, so
// that a busy machine changes little.
//
//   bench_turns AGENTS PROXIES INSTANCES GROUPS
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "controller/api/controller.h"
#include "controller/core/door/execute.h"
#include "remuda/agent/v1/agent.pb.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda {
namespace {

double CpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

class BenchClock final : public Clock {
 public:
  absl::Time Now() const override { return now; }
  absl::Time now = absl::FromUnixSeconds(1'000'000);
};

// The outcome of a commit comes with the next round of messages.
class ReadyCommitter final : public Committer {
 public:
  void Begin(std::shared_ptr<const core::Changes>, Done done) override { done_ = std::move(done); }
  bool Finish() {
    if (!done_) return false;
    std::exchange(done_, nullptr)(++commits_);
    return true;
  }

 private:
  Done done_;
  int64_t commits_ = 1;
};

// What the other ends say, each after what it answers.
struct Said {
  StreamHandler* to;
  StreamPtr from;
  std::string bytes;
};
using Mail = std::deque<Said>;

class Agent final : public Stream, public std::enable_shared_from_this<Agent> {
 public:
  Agent(StreamHandler& sessions, Mail& mail, std::string name, int number)
      : sessions_(sessions), mail_(mail), name_(std::move(name)), number_(number) {}
  void Begin() {
    sessions_.OnOpened(shared_from_this());
    agent::v1::ConnectRequest hello;
    hello.mutable_hello()->set_host(name_);
    hello.mutable_hello()->set_address("10." + std::to_string(number_ / 65'536) + "." +
                                       std::to_string(number_ / 256 % 256) + "." +
                                       std::to_string(number_ % 256));
    hello.mutable_hello()->set_zone(number_ % 2 == 0 ? "a" : "b");
    Say(hello);
  }
  void Send(Frame frame) override {
    agent::v1::ConnectResponse response;
    response.ParseFromString(*frame);
    if (!response.has_update()) return;
    agent::v1::ConnectRequest report;
    for (const auto& wish : response.update().upserts()) {
      auto& status = *report.mutable_report()->add_instances();
      status.set_instance(wish.instance());
      const bool stop = wish.desired() == agent::v1::DESIRED_STATE_STOPPED;
      status.set_state(stop ? agent::v1::PROCESS_STATE_EXITED : agent::v1::PROCESS_STATE_RUNNING);
      status.set_port(++port_);
      if (stop) status.mutable_exit()->set_requested(true);
    }
    for (const std::string& id : response.update().removed())
      report.mutable_report()->add_removed(id);
    agent::v1::ConnectRequest ack;
    *ack.mutable_ack()->mutable_revision() = response.update().revision();
    Say(ack);
    if (report.has_report()) Say(report);
  }
  void Kill(const std::string& instance) {
    agent::v1::ConnectRequest report;
    auto& status = *report.mutable_report()->add_instances();
    status.set_instance(instance);
    status.set_state(agent::v1::PROCESS_STATE_EXITED);
    status.mutable_exit()->set_signal(9);
    Say(report);
  }
  void SayUsage() {
    agent::v1::ConnectRequest report;
    report.mutable_usage()->mutable_host()->set_cpu_millis(10);
    Say(report);
  }
  void End() { sessions_.OnClosed(shared_from_this()); }
  size_t queued() const override { return 0; }
  void Close(const absl::Status& status) override {
    std::printf("%s\n", status.ToString().c_str());
  }
  std::string peer() const override { return name_; }

 private:
  void Say(const agent::v1::ConnectRequest& message) {
    mail_.push_back({&sessions_, shared_from_this(), message.SerializeAsString()});
  }
  StreamHandler& sessions_;
  Mail& mail_;
  const std::string name_;
  const int number_;
  int port_ = 20'000;
};

class Proxy final : public Stream, public std::enable_shared_from_this<Proxy> {
 public:
  Proxy(StreamHandler& sessions, Mail& mail, std::string name)
      : sessions_(sessions), mail_(mail), name_(std::move(name)) {}
  void Begin() {
    sessions_.OnOpened(shared_from_this());
    proxy::v1::ConnectRequest hello;
    hello.mutable_hello()->set_proxy(name_);
    Say(hello.SerializeAsString());
  }
  // All proxies answer an update alike: it is read once.
  void Send(Frame frame) override {
    static Frame last;
    static std::string ack;
    static std::string report;
    if (frame != last) {
      last = frame;
      proxy::v1::ConnectResponse response;
      response.ParseFromString(*frame);
      ack.clear();
      report.clear();
      if (response.has_update()) Answer(response.update(), ack, report);
    }
    if (ack.empty()) return;
    Say(ack);
    if (!report.empty()) Say(report);
  }
  void SayStats() {
    proxy::v1::ConnectRequest stats;
    stats.mutable_stats()->set_requests(1);
    Say(stats.SerializeAsString());
  }
  size_t queued() const override { return 0; }
  void Close(const absl::Status& status) override {
    std::printf("%s\n", status.ToString().c_str());
  }
  std::string peer() const override { return name_; }

 private:
  void Say(std::string bytes) {
    mail_.push_back({&sessions_, shared_from_this(), std::move(bytes)});
  }
  static void Answer(const proxy::v1::ConfigUpdate& update, std::string& ack, std::string& report) {
    proxy::v1::ConnectRequest answer;
    *answer.mutable_ack()->mutable_revision() = update.revision();
    ack = answer.SerializeAsString();
    proxy::v1::ConnectRequest health;
    health.mutable_health()->set_full(!update.has_base());
    for (const auto& target : update.upserts().targets()) {
      if (target.state() != proxy::v1::Target::STATE_ACTIVE) continue;
      auto& out = *health.mutable_health()->add_targets();
      out.set_target_group(target.target_group());
      out.set_target(target.id());
      out.set_state(v1::TARGET_STATE_HEALTHY);
    }
    if (health.health().full() || health.health().targets_size() > 0)
      report = health.SerializeAsString();
  }
  StreamHandler& sessions_;
  Mail& mail_;
  const std::string name_;
};

class Bench {
 public:
  Bench(int agents, int proxies, int instances, int groups)
      : instances_(instances), groups_(groups) {
    for (int i = 0; i < agents; ++i) {
      agents_["h" + std::to_string(i)] =
          std::make_shared<Agent>(controller_.agents, mail_, "h" + std::to_string(i), i);
    }
    for (int i = 0; i < proxies; ++i) {
      proxies_.push_back(
          std::make_shared<Proxy>(controller_.proxies, mail_, "p" + std::to_string(i)));
    }
  }

  int Run() {
    Measure("agents and proxies join", [&] {
      for (const auto& [name, agent] : agents_) agent->Begin();
      for (const auto& proxy : proxies_) proxy->Begin();
    });
    Measure("instances come into service",
            [&] { Edit([&](core::Draft& draft) { AddGroups(draft); }); });
    std::printf("in service: %d\n", InService());
    for (int i = 0; i < 3; ++i) {
      Measure("one process dies", [&] {
        const auto& all = controller_.engine.state().All<v1::Instance>();
        auto it = std::next(all.begin(), static_cast<int64_t>(all.size() / 2) + i);
        agents_.at(it->second->host())->Kill(it->first);
      });
    }
    for (int i = 0; i < 3; ++i) {
      Measure("one target is registered", [&] {
        Edit([i](core::Draft& draft) {
          v1::Target row;
          row.set_address("10.250.0.1");
          row.set_port(80 + i);
          draft.Put(core::TargetKey("tg0", "10.250.0.1:" + std::to_string(80 + i)), row);
        });
      });
    }
    Measure("a group is edited", [&] {
      Edit([](core::Draft& draft) {
        v1::AutoScalingGroup row = *draft.Find<v1::AutoScalingGroup>("asg0");
        row.set_desired(row.desired() - 1);
        draft.Put("asg0", row);
      });
    });
    Measure("60 s of rest", [&] { rest_until_ = clock_.now + absl::Seconds(60); });
    const int lost = static_cast<int>(agents_.size()) / 3;
    Measure("a third of the hosts is lost", [&] {
      int i = 0;
      for (const auto& [name, agent] : agents_) {
        if (i++ < lost) agent->End();
      }
      rest_until_ = clock_.now + absl::Seconds(30);
    });
    std::printf("in service: %d\n", InService());
    return 0;
  }

 private:
  void AddGroups(core::Draft& draft) {
    v1::LaunchTemplateVersion launch;
    launch.set_name("launchTemplates/shop/versions/1");
    launch.set_version(1);
    draft.Put(core::LaunchTemplateKey("shop", 1), launch);
    v1::LoadBalancer balancer;
    balancer.set_name("loadBalancers/lb");
    for (int i = 0; i < groups_; ++i) {
      const std::string number = std::to_string(i);
      v1::TargetGroup target_group;
      target_group.set_name("targetGroups/tg" + number);
      draft.Put("tg" + number, target_group);
      auto& listener = *balancer.add_listeners();
      listener.mutable_default_action()->mutable_forward()->add_target_groups()->set_target_group(
          "tg" + number);
      v1::AutoScalingGroup group;
      group.set_name("autoScalingGroups/asg" + number);
      group.mutable_launch_template()->set_launch_template("shop");
      group.mutable_launch_template()->set_resolved_version(1);
      group.set_max(instances_ / groups_);
      group.set_desired(instances_ / groups_);
      group.add_target_groups("tg" + number);
      *group.mutable_health_check_grace_period() = core::ToProto(absl::Seconds(30));
      draft.Put("asg" + number, group);
    }
    draft.Put("lb", balancer);
  }
  int InService() const {
    const auto& all = controller_.engine.state().All<v1::Instance>();
    return static_cast<int>(std::count_if(all.begin(), all.end(), [](const auto& entry) {
      return entry.second->state() == v1::INSTANCE_STATE_IN_SERVICE;
    }));
  }
  template <class Fn>
  void Edit(Fn edit) {
    controller_.engine.Add({.decide =
                                [edit](core::Draft& draft, const core::Context&) {
                                  edit(draft);
                                  return absl::OkStatus();
                                },
                            .done = [](const absl::Status&, const core::State&) {}});
  }

  // Delivers what was said, up to so much before a turn, as the loop does.
  void Settle() {
    constexpr double kLongestRound = 0.010;
    absl::Time due = absl::InfinitePast();
    while (true) {
      const double begun = CpuSeconds();
      bool worked = committer_.Finish();
      while (!mail_.empty() && CpuSeconds() - begun < kLongestRound) {
        const Said said = std::move(mail_.front());
        mail_.pop_front();
        said.to->OnMessage(said.from, said.bytes);
        worked = true;
      }
      const double handled = CpuSeconds();
      if (!worked && due > clock_.now) {
        const absl::Time beat = next_beat_;
        if (beat > rest_until_ && due > rest_until_) break;
        clock_.now = std::min(due, beat);
        if (clock_.now >= beat) Beat();
        if (!mail_.empty()) continue;
      }
      due = controller_.Turn();
      const double turned = CpuSeconds();
      clock_.now += absl::Microseconds(100);
      ++turns_;
      messages_ += handled - begun;
      in_turns_ += turned - handled;
      longest_ = std::max(longest_, turned - begun);
    }
  }
  // What comes of itself while nothing happens.
  void Beat() {
    next_beat_ += absl::Seconds(5);
    for (const auto& [name, agent] : agents_) agent->SayUsage();
    for (const auto& proxy : proxies_) proxy->SayStats();
  }

  template <class Fn>
  void Measure(const char* what, Fn begin) {
    turns_ = 0;
    messages_ = in_turns_ = longest_ = 0;
    const int64_t commits = metrics_.commits;
    begin();
    Settle();
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    std::printf(
        "%-30s %9.1f ms of turns, %9.1f ms of messages, longest turn %8.1f ms, %6d turns, %6d "
        "commits, %5ld MB\n",
        what, 1e3 * in_turns_, 1e3 * messages_, 1e3 * longest_, turns_,
        static_cast<int>(metrics_.commits - commits), usage.ru_maxrss / 1024);
    std::fflush(stdout);
  }

  const int instances_;
  const int groups_;
  BenchClock clock_;
  ReadyCommitter committer_;
  Metrics metrics_;
  Loop loop_{clock_, metrics_};
  Controller controller_{
      {.identity = {.cluster_id = "c", .epoch = 1},
       .engine = {.state = {}, .patience = {}, .on_leadership_lost = [](const absl::Status&) {}},
       .version = "bench"},
      clock_,
      committer_,
      loop_,
      metrics_};
  Mail mail_;
  std::map<std::string, std::shared_ptr<Agent>> agents_;
  std::vector<std::shared_ptr<Proxy>> proxies_;
  absl::Time rest_until_ = absl::InfinitePast();
  absl::Time next_beat_ = clock_.now + absl::Seconds(5);
  int turns_ = 0;
  double messages_ = 0;
  double in_turns_ = 0;
  double longest_ = 0;
};

}  // namespace
}  // namespace remuda

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: %s AGENTS PROXIES INSTANCES GROUPS\n", argv[0]);
    return 2;
  }
  spdlog::set_level(spdlog::level::warn);
  remuda::Bench bench(std::atoi(argv[1]), std::atoi(argv[2]), std::atoi(argv[3]),
                      std::atoi(argv[4]));
  return bench.Run();
}
