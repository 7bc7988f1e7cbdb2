// System: who scales an app and runs it: a baseline with its instances, or Remuda's core.
#pragma once

#include <string>

#include "tests/sim/scaling/app.h"

namespace remuda::scaling_sim {

class System {
 public:
  System() = default;
  System(const System&) = delete;
  System& operator=(const System&) = delete;
  virtual ~System() = default;

  // Before the first tick: the app runs `desired` instances, which are warm.
  virtual void Begin(App& app, int desired) = 0;
  // After each tick: sees what the tick's processes used, launches, stops, routes.
  virtual void Step(App& app, int tick) = 0;
  virtual int desired() const = 0;
};

}  // namespace remuda::scaling_sim
