// App: the processes of a simulated app on simulated hosts: they boot, are cold for a while, serve,
// crash, and die with their hosts. It knows nothing of who scales it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/sim/scaling/series.h"
#include "tests/sim/scheduler.h"

namespace remuda::scaling_sim {

using sim::Random;

// A host that stops at a tick with all that runs on it, and comes back empty.
struct HostDeath {
  int host = 0;
  int from = 0;
  int to = 0;
};

// What kind of app, on how many hosts: constant in a run.
struct AppTraits {
  double requests_per_second = 100;  // what an instance serves with all of its CPU
  double target = 0.6;               // the share of its CPU that is to be used
  int min = 2;
  int max = 60;
  int hosts = 6;
  absl::Duration boot = absl::Seconds(20);      // from its start to its first answer
  absl::Duration cold_for = absl::Seconds(30);  // after it: a part of the CPU goes elsewhere
  double cold_share = 0.3;                      // that part; what is left serves
  absl::Duration crash_mean = absl::InfiniteDuration();  // lifetime until it crashes
  std::vector<HostDeath> deaths = {};

  // Instances that serve `load` at the target.
  int NeededFor(double load) const;
};

// Draws C 40 to 160 requests/s, target 0.5 to 0.7, boot 5 to 60 s, cold for 10 to 60 s by 10 to 40
// % of the CPU, in half of the apps crashes (each instance every 6 to 24 h), in a third a host that
// dies for 5 to 15 minutes.
AppTraits DrawTraits(Random& random, int ticks);

struct Process {
  int host = 0;
  int launched = 0;         // tick
  int ready = 0;            // tick from which it answers
  int warm = 0;             // tick from which it is not cold
  int crashes_at = 0;       // tick
  bool routed = false;      // takes requests; who scales says so
  double cpu_beside = 0;    // share of its CPU that it burns whatever it serves
  bool looks_busy = false;  // its CPU is in use whatever it serves, and yet it serves all it can
  double cpu = 0;           // share of its CPU in this tick
  double rate = 0;          // requests a second in this tick
  bool has_metrics = true;  // what it uses is heard of in this tick
};

class App {
 public:
  App(AppTraits traits, uint64_t seed) : traits_(std::move(traits)), random_(seed) {}

  const AppTraits& traits() const { return traits_; }
  const std::map<int, Process>& processes() const { return processes_; }
  Process* Find(int id);
  bool IsDown(int host, int tick) const;

  // A new process; answers its number. `is_warm`: as if it had run for long.
  int Launch(int host, int tick, bool is_warm = false);
  // Ends it; nothing if it has ended.
  void Stop(int id) { processes_.erase(id); }

  // Crashes, and deaths of hosts: those that end are gone.
  void Advance(int tick);
  // Spreads the load over those that are routed and ready. Answers how much of it they serve, in
  // requests a second.
  double Serve(int tick, double load, const std::vector<Gap>& gaps);
  // What is routed and ready serves at most.
  double Capacity(int tick) const;

 private:
  // Share of its CPU that serves nobody.
  double SpentBeside(const Process& process, int tick) const;
  double CapacityOf(const Process& process, int tick) const;

  AppTraits traits_;
  Random random_;
  std::map<int, Process> processes_;  // by number
  int next_ = 1;
};

}  // namespace remuda::scaling_sim
