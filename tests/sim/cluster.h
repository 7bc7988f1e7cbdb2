// A whole simulated cluster around the real core: commands, commits that a crash may lose,
// sessions, hosts, proxies; and the invariants.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controller/core/model/draft.h"
#include "controller/core/model/observations.h"
#include "controller/core/model/state.h"
#include "controller/core/views/assignment.h"
#include "remuda/v1/apply.pb.h"
#include "tests/sim/host.h"
#include "tests/sim/proxy.h"
#include "tests/sim/scheduler.h"

namespace remuda::sim {

// Where a receiver of views stands.
template <class View>
struct Session {
  explicit Session(Scheduler& scheduler, Random& random)
      : down(scheduler, random), up(scheduler, random) {}
  Channel down;
  Channel up;
  bool open = false;
  int64_t sent = 0;                    // number of the newest view sent
  int64_t acked = 0;                   // the newest that the receiver has in force
  View last;                           // what `sent` said
  std::map<int64_t, int64_t> commits;  // by number, what the view covers
  absl::Time last_contact = absl::InfinitePast();
  absl::Time opened = absl::InfinitePast();

  void Open(absl::Time now) {
    open = true;
    opened = now;
    sent = acked = 0;
    commits.clear();
  }
  void Break(absl::Time now) {
    open = false;
    up.Break();
    down.Break();
    last_contact = now;
  }
};

// What a simulated cluster goes through.
enum class Life {
  kBlueGreen,   // long, with every fault, and deployments by blue/green alone
  kStrategies,  // short: deployments by every strategy, and what people do to them
  kLifecycle,   // the same, with hooks, standby, instances that leave and join, what is suspended
};

class Cluster {
 public:
  explicit Cluster(uint64_t seed, Life life = Life::kBlueGreen);

  // Runs faults and commands, then calms everything down and waits for rest. Answers what was
  // wrong; empty if nothing was.
  std::string Run();
  int64_t requests() const { return requests_; }
  int turns() const { return turns_; }
  // How deployments ended, and how many.
  const std::map<std::string, int>& ends() const { return ends_; }

 private:
  struct HostPart {
    std::unique_ptr<Host> host;
    std::unique_ptr<Session<core::Assignment>> session;
  };
  struct ProxyPart {
    std::unique_ptr<Proxy> proxy;
    std::unique_ptr<Session<Config>> session;
    bool has_picked = false;
  };

  // cluster.cc: the controller.
  void Build();
  void AddDeadHosts(core::Draft& draft);
  bool HasStrategies() const { return life_ != Life::kBlueGreen; }
  void AddVersions(core::Draft& draft);
  void SetSize(v1::AutoScalingGroup& group);
  void Kick();  // a turn of the controller soon
  void Turn();
  bool Commit(core::Draft& draft);  // false: crashed
  void CheckReplanning();
  void Publish();
  void PublishTo(HostPart& part);
  void PublishTo(ProxyPart& part);
  Config ConfigOf(const std::string& proxy) const;
  void CrashController();
  void BeginController();
  template <class Request>
  void Ask(const Request& request);

  // cluster_sessions.cc: sessions.
  void Connect(HostPart& part);
  void Connect(ProxyPart& part);
  void ReportCounts(ProxyPart& part);
  void Break(HostPart& part);
  void Break(ProxyPart& part);
  void Reconnect();  // everyone who has no session, after a while
  void WireHost(HostPart& part);
  void WireProxy(ProxyPart& part);

  // cluster_faults.cc: what happens to it.
  void Trouble();
  void Command();
  void ApplyManifest();
  void KillNewWhenOldDrains(const core::Changes& changes);
  void Calm();
  const Process* FindProcess(const std::string& instance) const;
  std::string AnyInstance();
  std::string ActiveDeploymentId() const;
  std::string NewestDeploymentId() const;

  // cluster_plans.cc: deployments by every strategy, and what people do to them.
  void Operate();
  void Deploy();
  v1::DeploymentStrategy AnyStrategy();
  v1::DeploymentStrategy WrittenSteps();
  v1::DeploymentStep AnyHold();
  v1::Analysis AnyAnalysis();
  google::protobuf::Duration AnyWait();
  void Approve(bool reject);
  void Promote(bool all);
  void PauseForAWhile();
  void AgreeToAll();

  // cluster_life.cc: the lives of instances.
  void AddHooks(v1::AutoScalingGroup& group);
  void AddPool(v1::AutoScalingGroup& group);
  std::vector<std::pair<std::string, std::shared_ptr<const v1::Instance>>> Instances() const;
  void CompleteHooks();
  void SetAside();
  void OperateLife();
  void EndLife();

  // cluster_promises.cc: what every strategy promises.
  void CheckPromises(const core::Changes& changes, const core::State& before);
  void CheckSteps(const std::string& id, const v1::Deployment& was, const core::State& before);
  struct PassedStep;
  void CheckGate(const PassedStep& passed, const core::State& before);
  void CheckLaunched(const PassedStep& passed, const core::State& before);
  void CheckShifted(const PassedStep& passed);
  void CheckReplaced(const PassedStep& passed);
  void CheckWaited(const PassedStep& passed, absl::Duration wait);
  void CheckAnalyzed(const PassedStep& passed);
  void CheckDrained(const PassedStep& passed);
  void CheckRolledBack(const std::string& id, const v1::Deployment& was);
  void CheckFloor(const core::Changes& changes, const core::State& before);
  void CheckCeiling(const core::Changes& changes, const core::State& before);
  void CheckSplit(const Config& config);
  int FloorOf(const v1::Deployment* deployment) const;
  bool MayServeNothing();

  // cluster_invariants.cc.
  void Complain(const std::string& what);
  void Trace(const core::Edit& edit) const;
  void CheckState(const core::Changes& changes, const core::State& before);
  // `row`: as it drained. `what` is done to it now.
  void CheckUnused(const std::string& id, const v1::Instance& row, const std::string& what);
  void CheckPhase(const std::string& id, const v1::Deployment& before, const core::State& state);
  void CheckServing(const core::Changes& changes, const core::State& before);
  void CheckOldEnds(const std::string& id, const v1::Instance& row);
  void CheckGivenUp(const std::string& id, const v1::Deployment& before);
  void CheckOverdue();
  void CheckMassLoss();
  bool IsLive(const ProxyPart& part) const;
  bool IsSilenced() const;
  void CheckCounts();
  void CheckPick(ProxyPart& part, const core::TargetId& target);
  std::string CheckRest() const;
  bool IsAtRest() const;

  const uint64_t seed_;
  const Life life_;
  Random random_;
  Scheduler scheduler_;
  const bool calm_;  // nothing dies: then no request may fail
  core::State state_;
  core::Observations seen_;
  bool running_ = true;  // the controller
  int controller_life_ = 0;
  bool kicked_ = false;
  bool trouble_ = true;
  absl::Time due_ = absl::InfiniteFuture();
  std::map<std::string, HostPart> hosts_;
  std::map<std::string, ProxyPart> proxies_;
  std::map<int, Behaviour> behaviours_;  // by template version
  v1::ApplyResourcesRequest manifest_;   // applied again and again
  std::map<std::string, absl::Time> stopping_since_;
  std::vector<std::string> complaints_;
  // Steps of deployments (id, position) that a person has promoted, and approved.
  std::set<std::pair<std::string, int>> promoted_;
  std::set<std::pair<std::string, int>> approved_;
  bool has_served_ = false;
  absl::Time may_serve_nothing_until_ = absl::InfinitePast();
  std::map<std::string, int> ends_;
  int64_t requests_ = 0;
  int turns_ = 0;
};

}  // namespace remuda::sim
