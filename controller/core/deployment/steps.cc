#include "controller/core/deployment/steps.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/core/deployment/analyses.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/words.h"

namespace remuda::core {
namespace {

// Waits for nothing if `why` is empty.
StepAnswer DoneUnless(std::string why, std::string cause) {
  if (!why.empty()) return StepWait{std::move(why)};
  return StepDone{std::move(cause)};
}

StepAnswer AskLaunch(const Subject& subject) {
  if (std::string why = subject.Unconfirmed(); !why.empty()) return StepWait{std::move(why)};
  if (IsRollback(StageOf(subject.row()))) {
    return DoneUnless(subject.NotReadyForReturn(), "the old version is ready");
  }
  std::string cause;
  std::string why = subject.NotLaunched(&cause);
  return DoneUnless(std::move(why), std::move(cause));
}

StepAnswer AskTraffic(const Subject& subject) {
  const bool is_back = IsRollback(StageOf(subject.row()));
  return DoneUnless(subject.Unconfirmed(), is_back ? "every live proxy has confirmed the shift back"
                                                   : "every live proxy has confirmed the shift");
}

// What ends a wait early; null if nothing has.
const char* EndedBy(const v1::Deployment& row) {
  if (row.promoted_all()) return "all waits were ended";
  return row.promoted() ? "it was promoted" : nullptr;
}

StepAnswer AskBake(const Subject& subject) {
  if (std::string why = subject.Unconfirmed(); !why.empty()) return StepWait{std::move(why)};
  const v1::Deployment& row = subject.row();
  const char* ended_by = EndedBy(row);
  const Time end = StepEnd(row, FromProto(CurrentStep(row).bake()));
  if (ended_by == nullptr && subject.pass().now < end) {
    return StepWait{absl::StrCat("the old version stays warm until ", MomentText(end)), end};
  }
  if (ended_by == nullptr) {
    if (std::string why = subject.NotHalfUp(); !why.empty()) return StepWait{std::move(why)};
  }
  return StepDone{ended_by != nullptr ? ended_by : "its bake time is over"};
}

StepAnswer AskPause(const Subject& subject) {
  const v1::Deployment& row = subject.row();
  if (const char* ended_by = EndedBy(row)) return StepDone{ended_by};
  const Time end = StepEnd(row, FromProto(CurrentStep(row).pause()));
  if (subject.pass().now >= end) return StepDone{"its wait is over"};
  return StepWait{absl::StrCat("the next step begins at ", MomentText(end)), end};
}

StepAnswer AskApproval(const Subject& subject) {
  const v1::Deployment& row = subject.row();
  if (row.approved()) return StepDone{"it was approved"};
  const std::string& name = CurrentStep(row).approval().name();
  return StepWait{absl::StrCat("a person has to approve `", name, "`: `remuda deployment approve ",
                               subject.id(), " ", name, "`")};
}

StepAnswer AskDrain(const Subject& subject) {
  const v1::DeploymentRole role = CurrentStep(subject.row()).drain().role();
  return DoneUnless(subject.NotGone(role), IsRollback(StageOf(subject.row()))
                                               ? subject.row().rollback_reason()
                                               : "the old instances are gone");
}

}  // namespace

StepAnswer AskStep(const Subject& subject) {
  switch (CurrentStep(subject.row()).kind_case()) {
    case v1::DeploymentStep::kLaunch:
      return AskLaunch(subject);
    case v1::DeploymentStep::kTraffic:
      return AskTraffic(subject);
    case v1::DeploymentStep::kBake:
      return AskBake(subject);
    case v1::DeploymentStep::kPause:
      return AskPause(subject);
    case v1::DeploymentStep::kApproval:
      return AskApproval(subject);
    case v1::DeploymentStep::kAnalysis:
      return AnalysisAnswer(subject.row(), subject.pass().now);
    case v1::DeploymentStep::kReplace:
    case v1::DeploymentStep::kUpdate:
      return subject.Replaced();
    case v1::DeploymentStep::kDrain:
      return AskDrain(subject);
    case v1::DeploymentStep::KIND_NOT_SET:
      break;
  }
  return StepFail{"its row has no step"};
}

namespace {

// How long a batch of the current step serves before the next.
Duration BakeOf(const v1::Deployment& row) {
  if (IsRollback(StageOf(row))) return absl::ZeroDuration();
  const v1::DeploymentStep& step = CurrentStep(row);
  return FromProto(step.has_replace() ? step.replace().bake() : step.update().bake());
}

}  // namespace

Time StepDeadline(const Subject& subject) {
  const v1::Deployment& row = subject.row();
  const Duration patience = FromProto(row.health_deadline());
  switch (CurrentStep(row).kind_case()) {
    case v1::DeploymentStep::kLaunch:
      return std::max(StepEnd(row, patience),
                      subject.ProgressTime() + FromProto(row.paused_duration()) + patience);
    case v1::DeploymentStep::kTraffic:
      return IsRollback(StageOf(row)) ? absl::InfiniteFuture() : StepEnd(row, patience);
    case v1::DeploymentStep::kReplace:
    case v1::DeploymentStep::kUpdate:
      // Each batch has the time anew.
      return std::max(StepEnd(row, patience), subject.ProgressTime() + BakeOf(row) +
                                                  FromProto(row.paused_duration()) + patience);
    case v1::DeploymentStep::kAnalysis:
      return StepEnd(row, FromProto(CurrentStep(row).analysis().duration()) + patience);
    default:
      return absl::InfiniteFuture();
  }
}

}  // namespace remuda::core
