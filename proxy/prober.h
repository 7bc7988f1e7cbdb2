// Checks every active target of the process by its group's health check, once, whatever the number
// of workers, and publishes what it finds in TargetState.
//
// Owns: one thread with its loop, a tracker and at most one connection a target. Does not own: what
// health means for rotation (picker.h). Thread: Update, CheckSoon and Stop from any thread;
// on_change is called on the prober's thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>

#include "proxy/core/health.h"
#include "proxy/core/routing_table.h"
#include "proxy/event_loop.h"
#include "proxy/http/head_parser.h"

namespace remuda::proxy {

// What is said of a target when it changes.
struct HealthChange {
  std::shared_ptr<TargetState> target;
  Health health = Health::kInitial;
  std::string reason;
  std::string description;
  std::chrono::system_clock::time_point since;
};

class Prober {
 public:
  // Connections of checks at one time, over all targets; more wait.
  static constexpr size_t kMaxConcurrentChecks = 512;
  // A target that has not passed yet, or that refused a connection, is asked this often at least;
  // failures in between do not count against it.
  static constexpr std::chrono::milliseconds kEagerInterval{250};

  explicit Prober(std::function<void(const HealthChange&)> on_change);
  ~Prober();

  void Start();
  void Stop();
  // Takes up the targets of `table` and lets go of those that are in it no more.
  void Update(std::shared_ptr<const RoutingTable> table);
  // A connection to the target was refused: look at once.
  void CheckSoon(TargetState* target);

  uint64_t checks() const { return checks_.load(std::memory_order_relaxed); }

 private:
  class Check;
  friend class Check;

  void Take(const std::shared_ptr<const RoutingTable>& table);

  const std::function<void(const HealthChange&)> on_change_;
  EventLoop loop_;
  std::unordered_map<TargetState*, std::unique_ptr<Check>> checks_by_target_;
  size_t running_ = 0;
  std::atomic<uint64_t> checks_{0};
  std::mt19937_64 random_;
  std::thread thread_;
};

}  // namespace remuda::proxy
