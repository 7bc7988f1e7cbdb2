#include "tests/sim/scaling/replica_set.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <vector>

namespace remuda::scaling_sim {
namespace {

constexpr absl::Duration kHostLostAfter = absl::Seconds(10);

}  // namespace

void ReplicaSet::Begin(App& app, int desired) {
  desired_ = desired;
  for (int i = 0; i < desired; ++i) {
    const int host = i % app.traits().hosts;
    hosts_[app.Launch(host, 0, true)] = host;
  }
}

void ReplicaSet::Route(App& app, int tick) {
  for (const auto& [id, host] : hosts_) {
    Process* process = app.Find(id);
    if (process != nullptr && tick + 1 >= process->ready) process->routed = true;
  }
}

// Those that ended are not there any more.
void ReplicaSet::Forget(const App& app, int tick) {
  std::erase_if(hosts_, [&](const auto& entry) {
    if (app.processes().contains(entry.first)) return false;
    if (!app.IsDown(entry.second, tick)) return true;
    const int since = gone_.try_emplace(entry.first, tick).first->second;
    if (tick - since < Ticks(kHostLostAfter)) return false;
    gone_.erase(entry.first);
    return true;
  });
}

int ReplicaSet::LeastUsedHost(const App& app, int tick) const {
  std::vector<int> used(static_cast<size_t>(app.traits().hosts), 0);
  for (const auto& [id, host] : hosts_) ++used[static_cast<size_t>(host)];
  for (int host = 0; host < app.traits().hosts; ++host) {
    if (app.IsDown(host, tick)) used[static_cast<size_t>(host)] = std::numeric_limits<int>::max();
  }
  return static_cast<int>(std::min_element(used.begin(), used.end()) - used.begin());
}

void ReplicaSet::Launch(App& app, int tick) {
  const int host = LeastUsedHost(app, tick);
  hosts_[app.Launch(host, tick)] = host;
}

// Those that are not ready first, then the newest.
void ReplicaSet::StopOne(App& app, int tick) {
  const auto victim =
      std::max_element(hosts_.begin(), hosts_.end(), [&](const auto& a, const auto& b) {
        const auto rank = [&](int id) {
          const Process* process = app.Find(id);
          return std::tuple(process == nullptr || process->ready > tick, id);
        };
        return rank(a.first) < rank(b.first);
      });
  app.Stop(victim->first);
  hosts_.erase(victim);
}

void ReplicaSet::Step(App& app, int tick) {
  Forget(app, tick);
  Sight sight{.tick = tick, .desired = desired_, .instances = {}};
  for (const auto& [id, process] : app.processes()) {
    sight.instances.push_back(
        {.id = id,
         .launched = process.launched,
         .ready = process.ready <= tick ? std::optional(process.ready) : std::nullopt,
         .has_metrics = process.has_metrics,
         .cpu = process.cpu});
  }
  desired_ = std::clamp(scaler_->Desired(sight), app.traits().min, app.traits().max);
  while (static_cast<int>(hosts_.size()) < desired_) Launch(app, tick);
  while (static_cast<int>(hosts_.size()) > desired_) StopOne(app, tick);
  Route(app, tick);
}

}  // namespace remuda::scaling_sim
