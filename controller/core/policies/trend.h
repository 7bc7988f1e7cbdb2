// How much a group's load grows until instances that are launched now serve. Pure.
#pragma once

#include "controller/core/model/group_metrics.h"
#include "controller/core/policies/reading.h"

namespace remuda::core {

// By how much the load will be above the newest within `ahead`, as the last minute has it: the
// slope of the line through its values, less two standard errors, so that chance is no growth. Not
// below 0, and at most half of the newest. 0 where there are fewer than six values.
double GrowthOf(const MetricHistory& history, const MetricRef& ref, Duration ahead);

}  // namespace remuda::core
