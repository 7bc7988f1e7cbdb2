// Deployment rows in a stage of their lives, as the driver would have brought them there.
#pragma once

#include "controller/core/deployment/plan.h"
#include "controller/core/model/deployment_row.h"

namespace remuda::core {

inline void StepUntil(v1::Deployment& row, Stage stage, Time now) {
  while (StageOf(row) != stage && !IsLastStep(row)) EnterNextStep(row, now);
}

// Moves the row on to the stage, from wherever it is; LAUNCHING begins it.
inline void SetStage(v1::Deployment& row, Stage stage, Time now = absl::UnixEpoch()) {
  if (stage == Stage::kLaunching || row.steps().empty()) {
    BeginSteps(row, PlanOf(row, false), now);
  }
  switch (stage) {
    case Stage::kSucceeded:
      return End(row, v1::DEPLOYMENT_STATE_SUCCEEDED, now);
    case Stage::kRolledBack:
      return End(row, v1::DEPLOYMENT_STATE_ROLLED_BACK, now);
    case Stage::kFailed:
      return End(row, v1::DEPLOYMENT_STATE_FAILED, now);
    default:
      break;
  }
  if (IsRollback(stage) && !IsRollback(StageOf(row))) {
    if (stage != Stage::kBackDraining && row.traffic_percent() == 0) {
      StepUntil(row, Stage::kShifting, now);
    }
    BeginRollback(row, now);
  }
  StepUntil(row, stage, now);
}

}  // namespace remuda::core
