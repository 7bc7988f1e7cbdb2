// What a deployment is to its group, as far as its row says. Pure functions. What it does next:
// deployment/deployment.h.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/model/draft.h"
#include "controller/core/model/time.h"

namespace remuda::core {

// Where a deployment stands: its state and the kind of its current step in one word. What is
// decided depends on this; the row, and whoever reads it, has the steps.
enum class Stage {
  kNone,  // of no deployment
  kLaunching,
  kShifting,
  kBaking,
  kDraining,
  kSucceeded,
  kBackLaunching,  // of a rollback, as the two below
  kBackShifting,
  kBackDraining,
  kRolledBack,
  kFailed,
};

Stage StageOf(const v1::Deployment& deployment);

// "LAUNCHING", "ROLLBACK_LAUNCHING": for a person.
const char* StageText(Stage stage);

// Moves the row to the stage: its state, and the step that has the stage's kind, from the current
// one on. LAUNCHING begins it: it gets the steps of its strategy. The first stage of a rollback
// puts the steps of the way back in place of those that had not begun.
void SetStage(v1::Deployment& deployment, Stage stage);

// The same at a moment, which the row keeps: of the step, of the confirmed shift, of the end.
void EnterStage(v1::Deployment& deployment, Stage stage, Time now);

// The step that is under way; an empty one if the row has none.
const v1::DeploymentStep& CurrentStep(const v1::Deployment& deployment);

// Whether a deployment in this stage is over.
bool HasEnded(Stage stage);

// Whether it takes the steps of a rollback.
bool IsRollback(Stage stage);

// Whether the stage gives the traffic to the new side.
bool ServesNewSide(Stage stage);

// Whether it only ends another deployment: nothing but its version serves, so it moves no traffic.
// It has ended once every live proxy finds its instances healthy, and if it fails, all stays.
bool IsBackToServing(const v1::Deployment& deployment);

// The deployment of the group that has not ended; null if there is none. `id` (may be null) gets
// its id.
std::shared_ptr<const v1::Deployment> ActiveDeployment(const Draft& draft, std::string_view group,
                                                       std::string* id);

// Ids of all deployments of the group.
std::vector<std::string> DeploymentsOf(const Draft& draft, std::string_view group);

}  // namespace remuda::core
