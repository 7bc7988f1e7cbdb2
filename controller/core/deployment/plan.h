// Plans: the steps that a strategy stands for. A strategy is one small function of its settings;
// what a step does is the same whoever wrote it (deployment.h).
//
// Thread: the loop thread. Pure.
#pragma once

#include "controller/core/model/deployment_row.h"

namespace remuda::core {

// The steps of the row's strategy, each whole: no percentage is left out. `terminate_first`: there
// is no room for an instance of both versions, so that those that replace wait for those that end.
Steps PlanOf(const v1::Deployment& deployment, bool terminate_first);

// Percentages of replace and update steps that are left out.
inline constexpr int kMinHealthyPercent = 90;
inline constexpr int kMaxPercent = 110;

}  // namespace remuda::core
