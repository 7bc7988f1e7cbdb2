#include "controller/core/deployment/deployment.h"

#include <absl/strings/str_cat.h>

#include <memory>

#include "controller/core/deployment/analyses.h"
#include "controller/core/deployment/group_subject.h"
#include "controller/core/deployment/shift_subject.h"
#include "controller/core/deployment/steps.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/words.h"

namespace remuda::core {
namespace {

using v1::Deployment;

// Null if what it moves is not there.
std::unique_ptr<Subject> SubjectOf(Pass& pass, const Deployment& row, std::string_view id) {
  if (IsShift(row)) return std::make_unique<ShiftSubject>(pass, std::string(id), row);
  auto facts = Look(pass, row, id);
  if (!facts.has_value()) return nullptr;
  return std::make_unique<GroupSubject>(pass, *std::move(facts));
}

// What it does in the step that begins, or how it ended.
std::string Describe(const Deployment& row, const std::string& to) {
  const v1::DeploymentStep& step = CurrentStep(row);
  switch (StageOf(row)) {
    case Stage::kLaunching:
      return absl::StrCat("Launching ", LaunchedPercent(row), " % of the instances of ", to);
    case Stage::kShifting:
      return step.traffic() == 100
                 ? absl::StrCat("Moving the traffic to ", to)
                 : absl::StrCat("Moving ", step.traffic(), " % of the traffic to ", to);
    case Stage::kBaking:
      return absl::StrCat("All traffic is moved; the old version stays warm beside ", to);
    case Stage::kHolding:
      if (step.has_approval()) {
        return absl::StrCat("Waiting for the approval `", step.approval().name(), "` of ", to);
      }
      return absl::StrCat(step.has_pause() ? "Waiting, beside " : "Looking at how it does: ", to);
    case Stage::kReplacing:
      return absl::StrCat("Replacing instances up to ", step.replace().percent(), " % by ", to);
    case Stage::kUpdating:
      return absl::StrCat("Changing instances in place, up to ", step.update().percent(), " % to ",
                          to);
    case Stage::kDraining:
      return absl::StrCat("Draining the version before ", to);
    case Stage::kBackLaunching:
      return absl::StrCat("Rolling back: bringing back the version before ", to);
    case Stage::kBackShifting:
      return absl::StrCat("Rolling back: moving the traffic away from ", to);
    case Stage::kBackReplacing:
      return absl::StrCat("Rolling back: replacing instances of ", to);
    case Stage::kBackUpdating:
      return absl::StrCat("Rolling back: changing instances back from ", to);
    case Stage::kBackDraining:
      return absl::StrCat("Rolling back: draining ", to);
    case Stage::kRolledBack:
      return absl::StrCat("Rolled back ", to);
    case Stage::kFailed:
      return absl::StrCat("Gave up the rollback of ", to);
    default:
      return absl::StrCat("Deployed ", to);
  }
}

// Writes the row as it is in its new step or end, and tells of it.
void Write(const Subject& subject, Deployment after, const std::string& cause) {
  Pass& pass = subject.pass();
  const Stage stage = StageOf(after);
  if (HasEnded(stage)) {
    pass.Close(after.activity(), stage == Stage::kSucceeded ? v1::ACTIVITY_STATUS_SUCCESSFUL
                                                            : v1::ACTIVITY_STATUS_FAILED);
    after.clear_activity();
  }
  Edits::Story story = subject.Story();
  story.description = Describe(after, subject.NewText());
  story.cause = absl::StrCat(
      cause, pass.gates.LeftOut().empty() ? "" : "; not asked, for its lease is over: ",
      pass.gates.LeftOut());
  pass.Note(story);
  pass.Put(subject.id(), std::move(after));
}

// As the draft has it: numbers may have been written since the subject was made.
Deployment RowNow(const Subject& subject) {
  return *subject.pass().draft.Find<Deployment>(subject.id());
}

// The activity that spans the whole deployment.
void Announce(const Subject& subject) {
  Deployment after = subject.row();
  Edits::Story story = subject.Story();
  story.description = subject.WhatText();
  story.cause = after.rollback_of().empty()
                    ? "a deployment was asked for"
                    : absl::StrCat("deployment ", after.rollback_of(), " is to be undone");
  story.status = v1::ACTIVITY_STATUS_IN_PROGRESS;
  after.set_activity(subject.pass().Note(story));
  subject.pass().Put(subject.id(), std::move(after));
}

void Finish(Subject& subject, v1::DeploymentState state, const std::string& cause,
            const std::string& rollback_reason) {
  Deployment after = RowNow(subject);
  End(after, state, subject.pass().now);
  if (!rollback_reason.empty()) after.set_rollback_reason(rollback_reason);
  Write(subject, std::move(after), cause);
}

// The next step begins, or there is none.
void Advance(Subject& subject, const std::string& cause) {
  Deployment after = RowNow(subject);
  if (!IsLastStep(after)) {
    const bool was_shift = CurrentStep(after).has_traffic();
    EnterNextStep(after, subject.pass().now);
    if (was_shift) SetBases(subject.pass().draft, subject.pass().seen, after);
    const v1::DeploymentStep& step = CurrentStep(after);
    if (step.has_traffic()) subject.MoveTraffic(step.traffic());
    if (StageOf(after) == Stage::kDraining) subject.Settle(true);
    return Write(subject, std::move(after), cause);
  }
  if (IsRollback(StageOf(after))) {
    return Finish(subject, v1::DEPLOYMENT_STATE_ROLLED_BACK, after.rollback_reason(), "");
  }
  if (IsBackToServing(after)) {
    subject.MoveTraffic(100);
    subject.Settle(false);
  } else {
    subject.Settle(true);
  }
  Finish(subject, v1::DEPLOYMENT_STATE_SUCCEEDED, cause, "");
}

void GoBack(Subject& subject, const std::string& why) {
  Deployment after = RowNow(subject);
  BeginRollback(after, subject.pass().now);
  after.set_rollback_reason(why);
  Write(subject, std::move(after), why);
}

// The old version has not become ready in time: what serves goes on.
void GiveUpRollback(Subject& subject, const std::string& why) {
  const std::string cause = absl::StrCat(subject.OldText(), " was not ready within ",
                                         DurationText(FromProto(subject.row().health_deadline())),
                                         ": ", why, "; ", subject.Advice());
  subject.Settle(true);
  Finish(subject, v1::DEPLOYMENT_STATE_FAILED, cause,
         absl::StrCat(subject.row().rollback_reason(), "; the rollback failed: ", cause));
}

// Whether a failure of the deployment is left to a person. Not that of a rollback which has moved
// nothing yet: it has nothing to lose, and launching what fails leads nowhere.
bool WaitsForAPerson(const Deployment& row) {
  return row.has_automatic_rollback() && !row.automatic_rollback() &&
         (row.rollback_of().empty() || StageOf(row) != Stage::kLaunching ||
          row.traffic_percent() > 0);
}

// Whether the step's time is over and nothing is missing to tell that it has failed.
bool IsOverdue(const Subject& subject) {
  const Time deadline = StepDeadline(subject);
  subject.pass().DueAt(deadline);
  return subject.pass().now >= deadline &&
         (subject.IsAllSaid() ||
          (!IsRollback(StageOf(subject.row())) && !subject.pass().gates.Refusal().empty()));
}

// Why it should be rolled back without being asked; empty if not.
std::string Failure(const Subject& subject) {
  const Deployment& row = subject.row();
  if (IsRollback(StageOf(row)) || !subject.MayGoBack()) return "";
  // One that is paused takes no step and has no deadline, but its users are looked after.
  if (!row.paused()) {
    if (std::string why = subject.LaunchFailure(); !why.empty()) return why;
    if (IsOverdue(subject)) {
      const StepAnswer answer = AskStep(subject);
      if (const auto* wait = std::get_if<StepWait>(&answer); wait != nullptr) {
        if (CurrentStep(row).has_analysis()) return absl::StrCat("no verdict: ", wait->why);
        return absl::StrCat("not in service and confirmed within ",
                            DurationText(FromProto(row.health_deadline())), ": ", wait->why);
      }
    }
  }
  if (std::string why = BackgroundFailure(row); !why.empty()) return why;
  return subject.FailsUsers();
}

// The current step is asked, and what follows is done.
void Step(Pass& pass, const std::string& id) {
  EvaluateDue(pass, id);
  const auto row = pass.draft.Find<Deployment>(id);
  const std::unique_ptr<Subject> subject = SubjectOf(pass, *row, id);
  if (const std::string why = subject->Orphaned(); !why.empty()) {
    if (IsShift(*row)) subject->Settle(false);
    return Finish(*subject, v1::DEPLOYMENT_STATE_ROLLED_BACK, why, why);
  }
  if (row->activity().empty()) {
    Announce(*subject);
    return subject->SetNumbers(true);
  }
  if (IsRollback(StageOf(*row))) subject->Settle(false);
  const std::string failure = Failure(*subject);
  if (!failure.empty() && !WaitsForAPerson(*row)) {
    GoBack(*subject, failure);
    // What drains is taken back before anything is launched in its place.
    return Step(pass, id);
  }
  if (IsRollback(StageOf(*row)) && StageOf(*row) != Stage::kBackDraining && !row->paused()) {
    subject->TakeBack();
  }
  // A person decides what follows from a failure: to go back, or to go on all the same.
  const bool is_held = !failure.empty() && !row->promoted() && !row->promoted_all();
  if (!is_held || IsShift(*row)) subject->SetNumbers(!is_held);
  if (row->paused()) return;
  if (is_held) return pass.DueAt(pass.gates.NextLeaseEnd());
  const StepAnswer answer = AskStep(*subject);
  if (const auto* done = std::get_if<StepDone>(&answer); done != nullptr) {
    return Advance(*subject, done->cause);
  }
  if (const auto* fail = std::get_if<StepFail>(&answer); fail != nullptr) {
    if (WaitsForAPerson(*row) || IsRollback(StageOf(*row))) return;
    return GoBack(*subject, fail->why);
  }
  const StepWait& wait = std::get<StepWait>(answer);
  if (IsRollback(StageOf(*row)) && IsOverdue(*subject)) return GiveUpRollback(*subject, wait.why);
  pass.DueAt(wait.until);
  pass.DueAt(StepDeadline(*subject));
  pass.DueAt(pass.gates.NextLeaseEnd());
}

}  // namespace

Time DeploymentDeadline(Pass& pass, const Deployment& row, std::string_view id) {
  const std::unique_ptr<Subject> subject = SubjectOf(pass, row, id);
  if (subject == nullptr || HasEnded(StageOf(row))) return absl::InfiniteFuture();
  const StepAnswer answer = AskStep(*subject);
  if (const auto* wait = std::get_if<StepWait>(&answer);
      wait != nullptr && wait->until != absl::InfiniteFuture()) {
    return wait->until;
  }
  if (WaitsForAPerson(row) && !IsRollback(StageOf(row))) return absl::InfiniteFuture();
  return StepDeadline(*subject);
}

std::string DeploymentWaiting(Pass& pass, const Deployment& row, std::string_view id) {
  if (row.paused()) return "it is paused";
  const std::unique_ptr<Subject> subject = SubjectOf(pass, row, id);
  if (subject == nullptr) return "";
  if (WaitsForAPerson(row)) {
    if (const std::string failure = Failure(*subject); !failure.empty()) {
      return absl::StrCat(failure, "; automatic rollback is off: `remuda deployment rollback ",
                          std::string(id), "` goes back");
    }
  }
  const StepAnswer answer = AskStep(*subject);
  if (const auto* wait = std::get_if<StepWait>(&answer); wait != nullptr) return wait->why;
  if (const auto* fail = std::get_if<StepFail>(&answer); fail != nullptr) return fail->why;
  return "";
}

void StepDeployment(Pass& pass, const std::string& group_id) {
  std::string id;
  if (ActiveDeployment(pass.draft, group_id, &id) != nullptr) Step(pass, id);
}

bool StepShift(Pass& pass, const std::string& id) {
  const auto row = pass.draft.Find<Deployment>(id);
  if (row == nullptr || !IsShift(*row) || HasEnded(StageOf(*row))) return false;
  Step(pass, id);
  return true;
}

std::string KeepsOld(Pass& pass, const std::string& group_id) {
  std::string id;
  const auto row = ActiveDeployment(pass.draft, group_id, &id);
  if (row == nullptr || StageOf(*row) != Stage::kDraining) return "";
  const auto facts = Look(pass, *row, id);
  return facts.has_value() && IsLettingDown(pass, *facts) ? id : "";
}

}  // namespace remuda::core
