// What is counted for each load balancer and each target group, over many routing tables. (Of each
// target: TargetSlot; of each worker: metrics.h.)
//
// Threads: a slot is written by one worker, on cache lines of its own; anyone reads and sums.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "proxy/core/counter.h"

namespace remuda::proxy {

// Upper bounds of the TargetResponseTime histogram, in microseconds; the last bucket is unbounded.
inline constexpr std::array<uint64_t, 14> kResponseTimeBoundsUs = {
    500,    1000,   2500,   5000,    10000,   25000,   50000,
    100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

// Counts of status codes by first digit.
using CodeCounts = std::array<OwnedCounter<uint64_t>, 6>;

struct alignas(64) BalancerSlot {
  OwnedCounter<uint64_t> requests;
  OwnedCounter<uint64_t> new_connections;
  OwnedCounter<int64_t> active_connections;
  OwnedCounter<uint64_t> rejected_connections;
  OwnedCounter<uint64_t> unwanted_connections;  // that security groups do not let in
  OwnedCounter<uint64_t> received_bytes;
  OwnedCounter<uint64_t> sent_bytes;
  CodeCounts own_codes;
  OwnedCounter<uint64_t> fixed_responses;
  OwnedCounter<uint64_t> redirects;
  OwnedCounter<uint64_t> non_compliant;
};

class BalancerState {
 public:
  explicit BalancerState(size_t workers) : slots_(workers) {}
  BalancerSlot& slot(size_t worker) { return slots_[worker]; }
  const std::vector<BalancerSlot>& slots() const { return slots_; }

 private:
  std::vector<BalancerSlot> slots_;
};

struct alignas(64) GroupSlot {
  OwnedCounter<uint64_t> requests;  // picks: a repeat counts again
  OwnedCounter<uint64_t> connection_errors;
  CodeCounts codes;
  std::array<OwnedCounter<uint64_t>, kResponseTimeBoundsUs.size() + 1> response_times;
  OwnedCounter<uint64_t> response_time_sum_us;
  OwnedCounter<uint64_t> unasked;  // times that a target sent what no request asked for
  OwnedCounter<uint64_t> held;     // requests that had to wait for a first target
  OwnedCounter<uint64_t> refused;  // requests that were not sent, for want of a target or a place

  void ObserveResponseTime(uint64_t us) {
    size_t bucket = 0;
    while (bucket < kResponseTimeBoundsUs.size() && us > kResponseTimeBoundsUs[bucket]) ++bucket;
    response_times[bucket].Add(1);
    response_time_sum_us.Add(us);
  }
};

// Counts a client's connection as active while it lives. Of the worker's thread.
class ActiveConnection {
 public:
  ActiveConnection() = default;
  ActiveConnection(std::shared_ptr<BalancerState> balancer, size_t worker)
      : balancer_(std::move(balancer)), worker_(worker) {
    if (balancer_ != nullptr) balancer_->slot(worker_).active_connections.Add(1);
  }
  ActiveConnection(ActiveConnection&& other) noexcept
      : balancer_(std::move(other.balancer_)), worker_(other.worker_) {}
  ActiveConnection& operator=(ActiveConnection&& other) noexcept {
    std::swap(balancer_, other.balancer_);
    std::swap(worker_, other.worker_);
    return *this;
  }
  ~ActiveConnection() { End(); }
  void End() {
    if (balancer_ != nullptr) balancer_->slot(worker_).active_connections.Sub(1);
    balancer_.reset();
  }

 private:
  std::shared_ptr<BalancerState> balancer_;
  size_t worker_ = 0;
};

}  // namespace remuda::proxy
