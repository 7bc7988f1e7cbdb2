// /metrics: every counter of the proxy in Prometheus' text form (names and labels: docs/proxy.md).
#pragma once

#include <cstddef>
#include <string>

#include "proxy/control/control_counters.h"
#include "proxy/control/coordinator.h"
#include "proxy/telemetry/access_log.h"

namespace remuda::proxy {

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
