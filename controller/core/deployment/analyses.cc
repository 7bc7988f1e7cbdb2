#include "controller/core/deployment/analyses.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <vector>

#include "controller/core/analysis/evaluate.h"
#include "controller/core/analysis/probe.h"
#include "controller/core/analysis/side_traffic.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/words.h"

namespace remuda::core {
namespace {

bool IsOf(const v1::AnalysisEvaluation& evaluation, const v1::Deployment& row, bool background) {
  return evaluation.background() == background &&
         (background || evaluation.step() == row.current_step());
}

// When the analysis was evaluated last, or else began.
Time LastOf(const v1::Deployment& row, bool background) {
  for (int i = row.evaluations_size() - 1; i >= 0; --i) {
    if (IsOf(row.evaluations(i), row, background)) return FromProto(row.evaluations(i).time());
  }
  return FromProto(background ? row.shift_confirmed_time() : row.step_time());
}

// What the newest evaluation of it came to.
std::vector<v1::AnalysisEvaluation> NewestOf(const v1::Deployment& row, bool background) {
  std::vector<v1::AnalysisEvaluation> out;
  for (int i = row.evaluations_size() - 1; i >= 0; --i) {
    const v1::AnalysisEvaluation& evaluation = row.evaluations(i);
    if (!IsOf(evaluation, row, background)) continue;
    if (!out.empty() && FromProto(out[0].time()) != FromProto(evaluation.time())) break;
    out.push_back(evaluation);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

// The first that did not pass, for a person.
std::string TextOfWorst(const std::vector<v1::AnalysisEvaluation>& evaluations) {
  const AnalysisVerdict worst = Worst(evaluations);
  for (const v1::AnalysisEvaluation& evaluation : evaluations) {
    if (evaluation.verdict() == worst) {
      return absl::StrCat("analysis ", evaluation.check(), ": ", evaluation.description());
    }
  }
  return "";
}

// Whether the deployment's own analysis looks at it now: the new side has a share, and there is a
// way back.
bool LooksInBackground(const v1::Deployment& row) {
  return row.has_analysis() && row.state() == v1::DEPLOYMENT_STATE_IN_PROGRESS &&
         !KeepsNewSide(row) && row.has_shift_confirmed_time() && !CurrentStep(row).has_drain();
}

// Drops the oldest beyond those that are kept, but never the newest of the step's analysis or of
// the deployment's own: by them each goes on, however often the other is evaluated.
void ForgetOldest(v1::Deployment& row) {
  auto& all = *row.mutable_evaluations();
  const Time newest_of_step = LastOf(row, false);
  const Time newest_of_own = LastOf(row, true);
  const auto is_newest = [&](const v1::AnalysisEvaluation& evaluation) {
    const bool background = evaluation.background();
    return IsOf(evaluation, row, background) &&
           FromProto(evaluation.time()) == (background ? newest_of_own : newest_of_step);
  };
  for (int i = 0; i < all.size() && all.size() > kEvaluationsKept;) {
    if (is_newest(all[i])) {
      ++i;
    } else {
      all.DeleteSubrange(i, 1);
    }
  }
}

void EvaluateOne(Pass& pass, const std::string& id, const v1::Analysis& analysis, bool background,
                 v1::Deployment& row) {
  const auto answers = AnswersOf(pass.seen.answers, id, background ? 0 : row.current_step());
  const Time due = EvaluationDue(analysis, answers, LastOf(row, background));
  if (pass.now < due) return pass.DueAt(due);
  const SideTraffic traffic = TrafficSinceShare(pass.draft, pass.seen, row);
  std::vector<v1::AnalysisEvaluation> evaluations =
      Evaluate(analysis, traffic.old_side, traffic.new_side, answers, pass.now);
  const AnalysisVerdict worst = Worst(evaluations);
  int failed = background ? row.failed_background_evaluations() : row.failed_evaluations();
  if (worst == v1::AnalysisEvaluation::VERDICT_FAILED) ++failed;
  if (worst == v1::AnalysisEvaluation::VERDICT_PASSED) failed = 0;
  if (background) {
    row.set_failed_background_evaluations(failed);
  } else {
    row.set_failed_evaluations(failed);
  }
  for (v1::AnalysisEvaluation& evaluation : evaluations) {
    evaluation.set_step(row.current_step());
    evaluation.set_background(background);
    *row.add_evaluations() = std::move(evaluation);
  }
  ForgetOldest(row);
  pass.DueAt(EvaluationDue(analysis, answers, pass.now));
}

}  // namespace

void EvaluateDue(Pass& pass, const std::string& id) {
  v1::Deployment row = *pass.draft.Find<v1::Deployment>(id);
  if (LooksInBackground(row)) EvaluateOne(pass, id, row.analysis(), true, row);
  if (CurrentStep(row).has_analysis() && !row.paused()) {
    const v1::Analysis analysis = CurrentStep(row).analysis();
    EvaluateOne(pass, id, analysis, false, row);
  }
  pass.Put(id, std::move(row));
}

StepAnswer AnalysisAnswer(const v1::Deployment& row, Time now) {
  const v1::Analysis& analysis = CurrentStep(row).analysis();
  const std::vector<v1::AnalysisEvaluation> newest = NewestOf(row, false);
  if (row.failed_evaluations() > analysis.failure_limit()) return StepFail{TextOfWorst(newest)};
  const Time end = StepEnd(row, FromProto(analysis.duration()));
  const bool has_passed =
      !newest.empty() && Worst(newest) == v1::AnalysisEvaluation::VERDICT_PASSED;
  if (has_passed && now >= end) return StepDone{"its analysis has passed"};
  std::string why = absl::StrCat("its analysis ends at ", MomentText(end));
  if (newest.empty()) {
    absl::StrAppend(&why, "; nothing is evaluated yet");
  } else if (!has_passed) {
    absl::StrAppend(&why, "; ", TextOfWorst(newest));
  }
  return now < end ? StepWait{std::move(why), end} : StepWait{std::move(why)};
}

std::string BackgroundFailure(const v1::Deployment& row) {
  if (!LooksInBackground(row) ||
      row.failed_background_evaluations() <= row.analysis().failure_limit()) {
    return "";
  }
  return TextOfWorst(NewestOf(row, true));
}

void SetBases(const Draft& draft, const Observations& seen, v1::Deployment& row) {
  SideTraffic traffic = TrafficOf(draft, seen, row);
  *row.mutable_old_base() = std::move(traffic.old_side);
  *row.mutable_new_base() = std::move(traffic.new_side);
}

}  // namespace remuda::core
