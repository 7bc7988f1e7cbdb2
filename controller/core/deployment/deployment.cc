#include "controller/core/deployment/deployment.h"

#include <absl/strings/str_cat.h>

#include "controller/core/deployment/deployment_failure.h"
#include "controller/core/deployment/deployment_obstacles.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/words.h"
#include "controller/core/reconcile/sides.h"

namespace remuda::core {
namespace {

using v1::Deployment;

const char* Describe(Stage stage) {
  switch (stage) {
    case Stage::kShifting:
      return "Moving the traffic to ";
    case Stage::kBaking:
      return "All traffic is moved; the old version stays warm beside ";
    case Stage::kDraining:
      return "Draining the version before ";
    case Stage::kBackLaunching:
      return "Rolling back: bringing back the version before ";
    case Stage::kBackShifting:
      return "Rolling back: moving the traffic away from ";
    case Stage::kBackDraining:
      return "Rolling back: draining ";
    case Stage::kRolledBack:
      return "Rolled back ";
    case Stage::kFailed:
      return "Gave up the rollback of ";
    default:
      return "Deployed ";
  }
}

void Enter(Pass& pass, const DeploymentFacts& facts, Stage stage, const std::string& cause,
           const std::string& rollback_reason) {
  Deployment after = facts.row;
  EnterStage(after, stage, pass.now);
  if (!rollback_reason.empty()) after.set_rollback_reason(rollback_reason);
  if (HasEnded(stage)) {
    pass.Close(after.activity(), stage == Stage::kSucceeded ? v1::ACTIVITY_STATUS_SUCCESSFUL
                                                            : v1::ACTIVITY_STATUS_FAILED);
    after.clear_activity();
  }
  pass.Note({.group = facts.group_id,
             .deployment = facts.id,
             .description = absl::StrCat(Describe(stage), TextOf(facts.row.to())),
             .cause = absl::StrCat(
                 cause, pass.gates.LeftOut().empty() ? "" : "; not asked, for its lease is over: ",
                 pass.gates.LeftOut())});
  pass.Put(facts.id, std::move(after));
}

// The activity that spans the whole deployment.
void Announce(Pass& pass, const DeploymentFacts& facts) {
  Deployment after = facts.row;
  after.set_activity(pass.Note(
      {.group = facts.group_id,
       .deployment = facts.id,
       .description = IsBackToServing(facts.row)
                          ? absl::StrCat("Going back to ", TextOf(facts.row.to()))
                          : absl::StrCat("Deploying ", TextOf(facts.row.to()), " in place of ",
                                         TextOf(facts.row.from())),
       .cause = after.rollback_of().empty()
                    ? "a deployment was asked for"
                    : absl::StrCat("deployment ", after.rollback_of(), " is to be undone"),
       .status = v1::ACTIVITY_STATUS_IN_PROGRESS}));
  pass.Put(facts.id, std::move(after));
}

// What new instances of the group run from now on, by the deployment's word.
void SetTemplate(Pass& pass, const DeploymentFacts& facts, const v1::LaunchTemplateRef& launch) {
  v1::AutoScalingGroup after = facts.group;
  *after.mutable_launch_template() = launch;
  after.set_launch_template_set_by(facts.id);
  pass.Put(facts.group_id, std::move(after));
}

// The same for what served before the deployment: where the group names it, whoever set it did.
void ReturnTemplate(Pass& pass, const DeploymentFacts& facts) {
  const v1::LaunchTemplateRef& before = facts.row.from();
  if (!IsSame(facts.group.launch_template(), before)) SetTemplate(pass, facts, before);
}

// Gives the traffic to one side and keeps it from the other.
void MoveTraffic(Pass& pass, const DeploymentFacts& facts, const Side& to, const Side& from) {
  for (const Side* side : {&to, &from}) {
    for (const auto& [id, row] : side->members) {
      // What drains already gets none: it needs no word, and would have to be confirmed again.
      if (IsLeavingState(row->state())) continue;
      v1::Instance after = *row;
      after.set_withheld_by(side == &to ? "" : facts.id);
      pass.Put(id, std::move(after));
    }
  }
}

// Old instances that drain for the deployment but still run are taken back, as many as are missing.
void TakeBack(Pass& pass, const DeploymentFacts& facts) {
  int missing = facts.old_side.desired;
  for (const auto& [id, row] : facts.old_side.members) {
    const bool up = IsUp(row->state()) || row->state() == v1::INSTANCE_STATE_UNKNOWN;
    if (up && !row->unhealthy()) --missing;
  }
  for (const Member& member : facts.old_side.members) {
    if (missing <= 0) return;
    if (!CanBeTakenBack(pass, member)) continue;
    const auto& [id, row] = member;
    pass.Close(row->activity(), v1::ACTIVITY_STATUS_CANCELLED);
    v1::Instance after = *row;
    after.clear_activity();
    after.clear_drain_confirmed_time();
    pass.draft.Put(id, std::move(after));
    pass.Move(id, v1::INSTANCE_STATE_PENDING, "taken back by a rollback");
    --missing;
  }
}

void Advance(Pass& pass, const DeploymentFacts& facts) {
  switch (StageOf(facts.row)) {
    case Stage::kLaunching: {
      const int enough = EnoughToShift(pass, facts);
      MoveTraffic(pass, facts, facts.new_side, facts.old_side);
      if (IsBackToServing(facts.row)) {
        ReturnTemplate(pass, facts);
        Enter(pass, facts, Stage::kSucceeded,
              absl::StrCat("it served already, and every live proxy finds ",
                           Counted(enough, "instance"), " healthy"),
              "");
        return;
      }
      Enter(pass, facts, Stage::kShifting,
            enough == facts.new_side.desired
                ? absl::StrCat("every live proxy finds all of ", Counted(enough, "new instance"),
                               " healthy")
                : absl::StrCat("what served is failing, and ", enough, " of ",
                               Counted(facts.new_side.desired, "new instance"), " ",
                               enough == 1 ? "is" : "are", " more"),
            "");
      return;
    }
    case Stage::kShifting:
      Enter(pass, facts, Stage::kBaking, "every live proxy has confirmed the shift", "");
      return;
    case Stage::kBaking:
      SetTemplate(pass, facts, facts.row.to());
      Enter(pass, facts, Stage::kDraining,
            facts.row.promoted() ? "it was promoted" : "its bake time is over", "");
      return;
    case Stage::kDraining:
      Enter(pass, facts, Stage::kSucceeded, "the old instances are gone", "");
      return;
    case Stage::kBackLaunching:
      MoveTraffic(pass, facts, facts.old_side, facts.new_side);
      Enter(pass, facts, Stage::kBackShifting, "the old version is ready", "");
      return;
    case Stage::kBackShifting:
      Enter(pass, facts, Stage::kBackDraining, "every live proxy has confirmed the shift back", "");
      return;
    case Stage::kBackDraining:
      Enter(pass, facts, Stage::kRolledBack, facts.row.rollback_reason(), "");
      return;
    default:
      return;
  }
}

// The old version has not become ready in time: what serves goes on.
void GiveUpRollback(Pass& pass, const DeploymentFacts& facts, const std::string& why) {
  const int healthy = HealthyOf(pass, facts, facts.new_side);
  const std::string cause =
      absl::StrCat(TextOf(facts.row.from()), " was not ready within ",
                   DurationText(FromProto(facts.row.health_deadline())), ": ", why, "; ",
                   TextOf(facts.row.to()), " stays, of which ", Counted(healthy, "instance"), " ",
                   IsOrAre(healthy), " healthy; deploy a version that works: `remuda deploy asg/",
                   facts.group_id, " --template ", facts.row.to().launch_template(), ":VERSION`");
  SetTemplate(pass, facts, facts.row.to());
  Enter(pass, facts, Stage::kFailed, cause,
        absl::StrCat(facts.row.rollback_reason(), "; the rollback failed: ", cause));
}

// Whether a failure of the deployment is left to a person. Not that of a rollback which has moved
// nothing yet: it has nothing to lose, and launching what fails leads nowhere.
bool WaitsForAPerson(const Deployment& deployment) {
  return deployment.has_automatic_rollback() && !deployment.automatic_rollback() &&
         (deployment.rollback_of().empty() || StageOf(deployment) != Stage::kLaunching);
}

}  // namespace

Time DeploymentDeadline(const Deployment& deployment) {
  switch (StageOf(deployment)) {
    case Stage::kLaunching:
    case Stage::kShifting:
      if (WaitsForAPerson(deployment)) return absl::InfiniteFuture();
      return FromProto(deployment.create_time()) + FromProto(deployment.health_deadline());
    case Stage::kBaking:
      return FromProto(deployment.shift_confirmed_time()) +
             FromProto(CurrentStep(deployment).bake());
    case Stage::kBackLaunching:
      return FromProto(deployment.step_time()) + FromProto(deployment.health_deadline());
    default:
      return absl::InfiniteFuture();
  }
}

std::string DeploymentWaiting(Pass& pass, const Deployment& deployment,
                              std::string_view deployment_id) {
  if (deployment.paused()) return "it is paused";
  const auto facts = Look(pass, deployment, deployment_id);
  if (!facts.has_value()) return "";
  if (WaitsForAPerson(deployment)) {
    if (const std::string failure = Failure(pass, *facts); !failure.empty()) {
      return absl::StrCat(failure, "; automatic rollback is off: `remuda deployment rollback ",
                          std::string(deployment_id), "` goes back");
    }
  }
  return Obstacle(pass, *facts);
}

void StepDeployment(Pass& pass, const std::string& group_id) {
  std::string id;
  const auto row = ActiveDeployment(pass.draft, group_id, &id);
  if (row == nullptr) return;
  const DeploymentFacts facts = *Look(pass, *row, id);
  if (facts.group.deleting()) {
    Enter(pass, facts, Stage::kRolledBack, "the group is being deleted",
          "the group is being deleted");
    return;
  }
  if (row->activity().empty()) {
    Announce(pass, facts);
    return;
  }
  if (IsRollback(StageOf(*row))) ReturnTemplate(pass, facts);
  if (row->paused()) return;
  if (StageOf(*row) == Stage::kBackLaunching) TakeBack(pass, facts);
  if (!WaitsForAPerson(*row)) {
    if (const std::string why = Failure(pass, facts); !why.empty()) {
      Enter(pass, facts,
            StageOf(*row) == Stage::kLaunching ? Stage::kBackDraining : Stage::kBackLaunching, why,
            why);
      // What drains is taken back before anything is launched in its place.
      return StepDeployment(pass, group_id);
    }
  }
  const std::string obstacle = Obstacle(pass, facts);
  if (obstacle.empty()) return Advance(pass, facts);
  if (StageOf(*row) == Stage::kBackLaunching && pass.now >= DeploymentDeadline(*row) &&
      IsAllSaid(pass, facts)) {
    return GiveUpRollback(pass, facts, obstacle);
  }
  pass.DueAt(DeploymentDeadline(*row));
  pass.DueAt(pass.gates.NextLeaseEnd());
}

std::string KeepsOld(Pass& pass, const std::string& group_id) {
  std::string id;
  const auto row = ActiveDeployment(pass.draft, group_id, &id);
  if (row == nullptr || StageOf(*row) != Stage::kDraining) return "";
  const auto facts = Look(pass, *row, id);
  return facts.has_value() && IsLettingDown(pass, *facts) ? id : "";
}

}  // namespace remuda::core
