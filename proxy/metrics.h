// Counters of one worker. One thread writes; the admin server sums them (names: CloudWatch's,
// docs/proxy.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "proxy/core/target_state.h"
#include "proxy/http/reason.h"

namespace remuda::proxy {

// Upper bounds of the TargetResponseTime histogram, in microseconds; the last bucket is unbounded.
inline constexpr std::array<uint64_t, 14> kResponseTimeBoundsUs = {
    500,    1000,   2500,   5000,    10000,   25000,   50000,
    100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

// How often something was done, how long it took in all, and the longest time.
struct OwnedTimer {
  OwnedCounter<uint64_t> count;
  OwnedCounter<uint64_t> sum_ns;
  OwnedCounter<uint64_t> max_ns;

  void Observe(uint64_t ns) {
    count.Add(1);
    sum_ns.Add(ns);
    if (ns > max_ns.Get()) max_ns.Add(ns - max_ns.Get());
  }
};

struct alignas(64) WorkerMetrics {
  OwnedCounter<uint64_t> requests;
  OwnedCounter<uint64_t> new_connections;
  OwnedCounter<int64_t> active_connections;
  OwnedCounter<uint64_t> rejected_connections;
  OwnedCounter<uint64_t> received_bytes;
  OwnedCounter<uint64_t> sent_bytes;
  std::array<OwnedCounter<uint64_t>, 6> own_codes;     // by first digit
  std::array<OwnedCounter<uint64_t>, 6> target_codes;  // by first digit
  std::array<OwnedCounter<uint64_t>, static_cast<size_t>(http::Reason::kCount)> reasons;
  OwnedCounter<uint64_t> non_compliant;
  OwnedCounter<uint64_t> retries;
  OwnedCounter<uint64_t> retries_refused;  // safe, but over the budget
  OwnedCounter<uint64_t> target_connection_errors;
  OwnedCounter<uint64_t> connections_made;
  OwnedCounter<uint64_t> connections_reused;
  OwnedCounter<uint64_t> fail_open_picks;
  OwnedCounter<int64_t> queued_requests;  // that wait for a place now
  OwnedCounter<uint64_t> queued;
  OwnedCounter<uint64_t> accept_errors;
  OwnedCounter<uint64_t> tunnels;
  OwnedCounter<int64_t> active_tunnels;
  std::array<OwnedCounter<uint64_t>, kResponseTimeBoundsUs.size() + 1> response_time;
  OwnedCounter<uint64_t> response_time_sum_us;
  // CPU time of this worker's thread for changes of the config: adopting a table, and making the
  // list of targets to pick from again when a group or its targets' health changed.
  OwnedTimer adopt_time;
  OwnedTimer repick_time;

  void ObserveResponseTime(uint64_t us) {
    size_t bucket = 0;
    while (bucket < kResponseTimeBoundsUs.size() && us > kResponseTimeBoundsUs[bucket]) ++bucket;
    response_time[bucket].Add(1);
    response_time_sum_us.Add(us);
  }
};

}  // namespace remuda::proxy
