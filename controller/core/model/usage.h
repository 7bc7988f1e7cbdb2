// Usage: what an agent last said of its instances' processor time and memory, and the rates that
// follow. Pure.
//
// Owns: how counters that begin anew become rates. Does not own: what a rate is of
// (metrics/fold.h). Thread: the loop thread.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "controller/core/model/rate_window.h"
#include "controller/core/model/time.h"
#include "remuda/agent/v1/agent.pb.h"

namespace remuda::core {

struct Usage {
  agent::v1::InstanceUsage said;
  // Processor time in microseconds, over all processes of the instance since it was first told of.
  int64_t cpu_micros = 0;
  RateWindow<1> cpu;
  int restarts_folded = 0;  // of said.restarts, those that a value holds already
};

struct HostUsage {
  Time time = absl::InfinitePast();  // when the newest report came
  std::map<std::string, Usage, std::less<>> instances;
};

// Takes a report that came at `now`. What it does not name is forgotten. The first that is heard of
// a process says only where it stands, unless it began since the report before.
void TakeUsage(const agent::v1::UsageReport& report, Time now, Duration period, HostUsage& usage);

}  // namespace remuda::core
