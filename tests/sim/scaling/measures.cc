#include "tests/sim/scaling/measures.h"

#include <algorithm>

namespace remuda::scaling_sim {
namespace {

constexpr absl::Duration kOscillation = absl::Minutes(10);

}  // namespace

void Measures::Add(const Measures& other) {
  requests += other.requests;
  unserved += other.unserved;
  instance_hours += other.instance_hours;
  over_hours += other.over_hours;
  actions += other.actions;
  oscillations += other.oscillations;
  runs += other.runs;
}

void Meter::Look(int tick, const App& app, double load, double served, int desired) {
  const double seconds = absl::ToDoubleSeconds(kTick);
  measures_.requests += load * seconds;
  measures_.unserved += (load - served) * seconds;
  const int running = static_cast<int>(app.processes().size());
  const int needed = std::max(app.traits().NeededFor(load), app.traits().min);
  measures_.instance_hours += running * seconds / 3600;
  measures_.over_hours += std::max(0, running - needed) * seconds / 3600;
  if (desired_.has_value() && *desired_ != desired) {
    ++measures_.actions;
    const Action action{.tick = tick, .is_out = desired > *desired_};
    if (last_.has_value() && last_->is_out != action.is_out &&
        tick - last_->tick <= Ticks(kOscillation)) {
      ++measures_.oscillations;
    }
    last_ = action;
  }
  desired_ = desired;
}

}  // namespace remuda::scaling_sim
