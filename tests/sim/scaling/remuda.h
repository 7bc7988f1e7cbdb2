// Remuda: the real core scales: its state, what it observes of the app, the fold of its metrics,
// its policies, and the turns that follow. Hosts and the proxy are as simple as can be: they do at
// once what they are told.
//
// Owns: state and observations. Does not own: the app.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <string>

#include "controller/core/model/draft.h"
#include "controller/core/model/observations.h"
#include "controller/core/model/state.h"
#include "tests/sim/scaling/system.h"

namespace remuda::scaling_sim {

// Its group, its launch template, its target group.
inline constexpr const char* kGroup = "web";

// How a version of the launch template behaves, beside what AppTraits say.
struct Version {
  bool is_healthy = true;   // passes its health checks
  double cpu_beside = 0;    // share of its CPU that it burns whatever it serves
  bool looks_busy = false;  // its CPU is in use whatever it serves
};

class Remuda : public System {
 public:
  explicit Remuda(v1::ScalingPolicy policy) : policy_(std::move(policy)) {}

  void Begin(App& app, int desired) override;
  void Step(App& app, int tick) override;
  int desired() const override;

  const v1::AutoScalingGroup& group() const;
  const core::State& state() const { return state_; }
  core::Observations& seen() { return seen_; }
  absl::Time now() const { return now_; }
  // From the next launch on.
  std::map<int, Version>& versions() { return versions_; }
  int CountIn(v1::InstanceState state) const;

  // A person asks; fails the test if it is refused.
  template <class Request>
  void Ask(const Request& request);

 private:
  struct Running {
    int process = 0;
    std::string host;
    int version = 1;
    bool is_healthy = false;  // as was said
    double cpu_micros = 0;
    absl::Time since;
  };

  void AddCluster(const App& app, core::Draft& draft);
  void AddRunning(App& app, core::Draft& draft, int desired);
  // What agents and the proxy say.
  void Hear(const App& app, int tick);
  void HearHosts(const App& app, int tick);
  void HearInstance(const App& app, int tick, const std::string& id, Running& running);
  void HearUsage(const App& app);
  void Evaluate();
  void Turn();
  bool Apply(core::Draft& draft);
  // Makes it so on the hosts.
  void Follow(App& app, int tick);
  void Launch(App& app, int tick, const std::string& id, const v1::Instance& row);
  void Report(const std::string& id, const Running& running, agent::v1::ProcessState state,
              bool is_requested);

  const v1::ScalingPolicy policy_;
  core::State state_;
  core::Observations seen_;
  std::map<std::string, Running> running_;  // by instance
  std::map<int, Version> versions_;
  absl::Time now_;
  absl::Time due_ = absl::InfinitePast();
  bool is_dirty_ = true;
};

// Average CPU near the app's target, everything else at its default.
v1::ScalingPolicy TrackCpu(const AppTraits& traits);

}  // namespace remuda::scaling_sim
