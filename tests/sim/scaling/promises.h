// Promises: what holds of every run, tick by tick.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/scaling/run.h"

namespace remuda::scaling_sim {

class Promises {
 public:
  explicit Promises(const Scenario& scenario) : scenario_(scenario) {}
  void Look(const App& app, int tick, const Point& point);
  // The first that was broken, and when; empty: none.
  const std::string& broken() const { return broken_; }

 private:
  void Complain(int tick, const std::string& what);
  void LookAtScaleIn(int tick, const Point& point, const App& app);
  void LookForAnswer(int tick, const Point& point, const App& app);
  bool IsDark(int tick) const;
  double LoadBefore(int tick, int ticks) const;

  const Scenario& scenario_;
  int desired_ = -1;
  int last_out_ = -1'000'000;
  int last_in_ = -1'000'000;
  int hot_since_ = -1;
  int cold_since_ = -1;
  std::string broken_;
};

}  // namespace remuda::scaling_sim
