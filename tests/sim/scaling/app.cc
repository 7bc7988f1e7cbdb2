#include "tests/sim/scaling/app.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace remuda::scaling_sim {
namespace {

// So long have those run that are there in the beginning.
constexpr absl::Duration kLong = absl::Hours(1);
// CPU of a process that boots.
constexpr double kBootCpu = 0.9;
// CPU of a process that idles.
constexpr double kIdleCpu = 0.01;

bool IsMissing(const std::vector<Gap>& gaps, int tick, int id) {
  return std::any_of(gaps.begin(), gaps.end(), [&](const Gap& gap) {
    return tick >= gap.from && tick < gap.to && id * 37 % 100 < gap.percent;
  });
}

}  // namespace

int AppTraits::NeededFor(double load) const {
  return static_cast<int>(std::ceil(load / (requests_per_second * target)));
}

AppTraits DrawTraits(Random& random, int ticks) {
  AppTraits out;
  out.requests_per_second = random.Uniform(40, 160);
  out.target = random.Uniform(0.5, 0.7);
  out.min = 1 + random.Below(3);
  out.hosts = 4 + random.Below(5);
  out.boot = random.Between(absl::Seconds(5), absl::Seconds(60));
  out.cold_for = random.Between(absl::Seconds(10), absl::Seconds(60));
  out.cold_share = random.Uniform(0.1, 0.4);
  if (random.OneIn(2)) out.crash_mean = random.Between(absl::Hours(6), absl::Hours(24));
  if (random.OneIn(3)) {
    const int from = random.Below(ticks);
    out.deaths.push_back({.host = random.Below(out.hosts),
                          .from = from,
                          .to = from + Ticks(random.Between(absl::Minutes(5), absl::Minutes(15)))});
  }
  return out;
}

Process* App::Find(int id) {
  const auto it = processes_.find(id);
  return it == processes_.end() ? nullptr : &it->second;
}

bool App::IsDown(int host, int tick) const {
  return std::any_of(traits_.deaths.begin(), traits_.deaths.end(), [&](const HostDeath& death) {
    return death.host == host && tick >= death.from && tick < death.to;
  });
}

int App::Launch(int host, int tick, bool is_warm) {
  Process process{.host = host, .launched = is_warm ? tick - Ticks(kLong) : tick};
  const int boot = Ticks(traits_.boot * random_.Uniform(0.8, 1.2)) + 1;
  const double life = -std::log(1 - random_.Uniform(0, 1));
  process.ready = is_warm ? process.launched : tick + boot;
  process.warm = is_warm ? process.launched : process.ready + Ticks(traits_.cold_for);
  process.routed = is_warm;
  process.crashes_at = traits_.crash_mean == absl::InfiniteDuration()
                           ? std::numeric_limits<int>::max()
                           : tick + 1 + Ticks(traits_.crash_mean * life);
  processes_[next_] = process;
  return next_++;
}

void App::Advance(int tick) {
  std::erase_if(processes_, [&](const auto& entry) {
    return tick >= entry.second.crashes_at || IsDown(entry.second.host, tick);
  });
}

double App::SpentBeside(const Process& process, int tick) const {
  return std::min(1.0, process.cpu_beside + (tick < process.warm ? traits_.cold_share : 0));
}

double App::CapacityOf(const Process& process, int tick) const {
  if (!process.routed || tick < process.ready) return 0;
  return traits_.requests_per_second * (1 - SpentBeside(process, tick));
}

double App::Capacity(int tick) const {
  double sum = 0;
  for (const auto& [id, process] : processes_) sum += CapacityOf(process, tick);
  return sum;
}

double App::Serve(int tick, double load, const std::vector<Gap>& gaps) {
  const double capacity = Capacity(tick);
  const double used = capacity <= 0 ? 0 : std::min(1.0, load / capacity);
  for (auto& [id, process] : processes_) {
    process.has_metrics = !IsMissing(gaps, tick, id);
    process.rate = used * CapacityOf(process, tick);
    if (tick < process.ready || process.looks_busy) {
      process.cpu = process.looks_busy ? 1 : kBootCpu;
      continue;
    }
    process.cpu =
        std::max(kIdleCpu, SpentBeside(process, tick) + process.rate / traits_.requests_per_second);
  }
  return std::min(load, capacity);
}

}  // namespace remuda::scaling_sim
