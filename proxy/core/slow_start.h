// Slow start: a target that comes into a group that serves already gets its share bit by bit.
#pragma once

#include <cstdint>

#include "proxy/core/routing_table.h"
#include "proxy/core/steady_time.h"

namespace remuda::proxy {

// Whether one that becomes healthy now warms up: the group wants it, and has a target that is
// healthy and does not warm up itself (AWS, "Slow start mode"). Otherwise nobody would serve fully.
bool WarmsUp(const TargetGroup& group, SteadyTime now);

}  // namespace remuda::proxy
