// Checks every active target of the process by its group's health check, once, whatever the number
// of workers, and publishes what it finds in TargetState.
//
// Owns: one thread with its loop, a tracker and at most one connection a target. Does not own: what
// health means for rotation (picker.h), nor who is checked first when places are short
// (check_slots.h). Thread: Update, CheckSoon and Stop from any thread;
// on_change is called on the prober's thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "proxy/core/check_slots.h"
#include "proxy/core/health.h"
#include "proxy/core/routing_table.h"
#include "proxy/http/head_parser.h"
#include "proxy/io/event_loop.h"

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
  // After a change of a group's health check its targets are checked by the new rules within this
  // time, or an interval if that is shorter: not all at once.
  static constexpr std::chrono::milliseconds kMaxRespread{5000};
  // A shortage of ours is said in the log this often at most.
  static constexpr std::chrono::seconds kShortageLogInterval{10};
  // A target that has not passed yet, or that refused a connection, is asked this often at least;
  // failures in between do not count against it.
  static constexpr std::chrono::milliseconds kEagerInterval{250};

  explicit Prober(std::function<void(const HealthChange&)> on_change);
  ~Prober();

  void Start();
  void Stop();
  // Takes up the targets of `table` and lets go of those that are in it no more. Those of
  // `recalled` begin as that says, which stands in their TargetState already.
  void Update(std::shared_ptr<const RoutingTable> table, std::vector<HealthChange> recalled = {});
  // A connection to the target was refused: look at once.
  void CheckSoon(TargetState* target);

  uint64_t checks() const { return checks_.load(std::memory_order_relaxed); }
  // Of those, not made for want of descriptors, memory or ports of our own.
  uint64_t skipped_checks() const { return skipped_checks_.load(std::memory_order_relaxed); }

 private:
  class Check;
  friend class Check;

  void Take(const std::shared_ptr<const RoutingTable>& table,
            const std::vector<HealthChange>& recalled);
  void NoteShortage(const CheckResult& result);

  const std::function<void(const HealthChange&)> on_change_;
  EventLoop loop_;
  CheckSlots slots_{CheckSlots::Limits()};
  bool is_ending_ = false;  // the thread is over: what is destroyed makes room for nobody
  std::unordered_map<TargetState*, std::unique_ptr<Check>> checks_by_target_;
  SteadyTime next_shortage_log_{};
  std::atomic<uint64_t> checks_{0};
  std::atomic<uint64_t> skipped_checks_{0};
  std::mt19937_64 random_;
  std::thread thread_;
};

}  // namespace remuda::proxy
