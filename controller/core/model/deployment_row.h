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

// Where a deployment stands: its state and the kind of its current step in one word.
enum class Stage {
  kNone,  // of no deployment
  kLaunching,
  kShifting,
  kBaking,
  kHolding,  // a pause, an approval, an analysis
  kReplacing,
  kUpdating,
  kDraining,
  kSucceeded,
  kBackLaunching,  // of a rollback, as those below
  kBackShifting,
  kBackReplacing,
  kBackUpdating,
  kBackDraining,
  kRolledBack,
  kFailed,
};

Stage StageOf(const v1::Deployment& deployment);

// "LAUNCHING", "ROLLBACK_LAUNCHING": for a person.
const char* StageText(Stage stage);

using Steps = std::vector<v1::DeploymentStep>;

// The row begins with the first of these steps, at least one.
void BeginSteps(v1::Deployment& deployment, const Steps& steps, Time now);

// The next step of the plan begins; not after the last.
void EnterNextStep(v1::Deployment& deployment, Time now);
bool IsLastStep(const v1::Deployment& deployment);

// The way back begins, in place of the steps that had not begun: the same plan with the sides
// exchanged.
void BeginRollback(v1::Deployment& deployment, Time now);

// It ends, in one of the three states of the end.
void End(v1::Deployment& deployment, v1::DeploymentState state, Time now);

// The step that is under way; an empty one if the row has none.
const v1::DeploymentStep& CurrentStep(const v1::Deployment& deployment);

// Whether a deployment in this stage is over.
bool HasEnded(Stage stage);

// Whether it takes the steps of a rollback.
bool IsRollback(Stage stage);

// Whether it is a shift between two target groups, of no group's versions.
inline bool IsShift(const v1::Deployment& deployment) { return deployment.has_shift(); }

// Whether traffic is moved by shares; if not, each target has the same, and instances take each
// other's place.
bool MovesShares(const v1::Deployment& deployment);

// The new side has no share yet, or none any more; the old side has none any more.
bool KeepsNewSide(const v1::Deployment& deployment);
bool KeepsOldSide(const v1::Deployment& deployment);

// Each side has a part.
inline bool IsShared(const v1::Deployment& deployment) {
  return MovesShares(deployment) && !KeepsNewSide(deployment) && !KeepsOldSide(deployment);
}

// Deployment.staying before anything has been counted.
inline constexpr int kAllStay = 1'000'000;

// Per cent of desired that the new side is launched to so far.
int LaunchedPercent(const v1::Deployment& deployment);

// So many per cent of a number, rounded up.
int PercentOf(int percent, int number);

// When a wait of so long that began with the current step is over; it does not run while the
// deployment is paused (InfiniteFuture).
Time StepEnd(const v1::Deployment& deployment, Duration wait);

// Pauses it, or goes on.
void Pause(v1::Deployment& deployment, Time now);
void Resume(v1::Deployment& deployment, Time now);

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
