// Analyses of a deployment: what is due is evaluated and written into its row, and the step that
// waits for one asks the row. Thread: the loop thread. Pure.
#pragma once

#include <string>

#include "controller/core/deployment/step_answer.h"
#include "controller/core/reconcile/pass.h"

namespace remuda::core {

// Evaluations that a row keeps.
inline constexpr int kEvaluationsKept = 100;

// Evaluates the analysis of the current step and the deployment's own, each if it is due, and says
// when they are next.
void EvaluateDue(Pass& pass, const std::string& id);

// Of a step that is an analysis.
StepAnswer AnalysisAnswer(const v1::Deployment& row, Time now);

// Why the deployment's own analysis has failed; empty if it has not.
std::string BackgroundFailure(const v1::Deployment& row);

// Keeps what both sides have had of the traffic until now, so that what comes is counted from here.
void SetBases(const Draft& draft, const Observations& seen, v1::Deployment& row);

}  // namespace remuda::core
