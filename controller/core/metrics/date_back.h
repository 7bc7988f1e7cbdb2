// What a clock that was set back leaves of the values of groups. Pure. Thread: the loop thread.
#pragma once

#include "controller/core/model/group_metrics.h"

namespace remuda::core {

// Values of a time that is to come are forgotten, and times that are to come are now: as they are,
// they would count as the newest until the clock is there again. Policies begin anew to watch.
void DateBack(GroupMetrics& metrics, Time now);

}  // namespace remuda::core
