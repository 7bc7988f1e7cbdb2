// What scaling policies want asked of Prometheus. Pure. Thread: the loop thread.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "controller/core/analysis/answer.h"
#include "controller/core/analysis/probe.h"
#include "controller/core/model/group_metrics.h"

namespace remuda::core {

// (group, name of the policy).
using PolicyId = std::pair<std::string, std::string>;

// The queries of all policies of groups that are not being deleted.
std::map<PolicyId, Probe> PolicyQueries(const State& state);

// Takes what came of one: the value with its time, or why there is none, beside the last one.
void TakeQueried(const Probe& probe, const ProbeOutcome& outcome, Time now, QueriedValue& value);

}  // namespace remuda::core
