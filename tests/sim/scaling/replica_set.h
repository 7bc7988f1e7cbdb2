// ReplicaSet: runs a baseline's instances: as many as its scaler wants, at once and without
// mistakes.
//
// What is the same for all systems is as good as Remuda's, so that only the scaling differs: a
// crash is seen at once, a dead host after 10 s (Kubernetes itself: 40 s and 300 s), and those that
// are ready take requests at once.
#pragma once

#include <map>
#include <memory>

#include "tests/sim/scaling/scaler.h"
#include "tests/sim/scaling/system.h"

namespace remuda::scaling_sim {

class ReplicaSet : public System {
 public:
  explicit ReplicaSet(std::unique_ptr<Scaler> scaler) : scaler_(std::move(scaler)) {}

  void Begin(App& app, int desired) override;
  void Step(App& app, int tick) override;
  int desired() const override { return desired_; }

 private:
  void Route(App& app, int tick);
  void Forget(const App& app, int tick);
  int LeastUsedHost(const App& app, int tick) const;
  void Launch(App& app, int tick);
  void StopOne(App& app, int tick);

  std::unique_ptr<Scaler> scaler_;
  std::map<int, int> hosts_;  // of the instances that it believes to be there
  std::map<int, int> gone_;   // since when those of dead hosts have been silent
  int desired_ = 0;
};

}  // namespace remuda::scaling_sim
