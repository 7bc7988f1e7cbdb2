// /metrics: every counter of the proxy in Prometheus' text form (names and labels: docs/proxy.md).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "proxy/control/coordinator.h"
#include "proxy/telemetry/access_log.h"

namespace remuda::proxy {

// Counters of the session with the controller; constant zeros when there is none.
struct ControlCounters {
  std::atomic<uint64_t> nacks{0};
  std::atomic<uint64_t> reloads{0};  // of the config file, by SIGHUP
  std::atomic<uint64_t> failed_reloads{0};
  std::atomic<uint64_t> sessions{0};
  std::atomic<bool> is_connected{false};
  // Of the clock of leases (core/lease.h); 0: there is no controller to have one from.
  std::atomic<SteadyTime::rep> lease_end{0};
};

struct AdminSources {
  const Coordinator* coordinator = nullptr;
  const AccessLog* log = nullptr;  // may be null
  const ControlCounters* control = nullptr;
  bool is_ready_without_lease = false;  // --ready-without-lease
};

// Targets with series of their own, in the order of their groups and ids; the rest is counted in
// target_series_omitted. Groups and load balancers always have theirs.
inline constexpr size_t kMaxTargetSeries = 1000;

// Any thread. Series are of what the config in force names: what is removed from it has none.
std::string RenderMetrics(const AdminSources& sources);

}  // namespace remuda::proxy
