// Evaluate: what the checks of an analysis say of the new version, from counts and answers. Pure.
//
// Owns: the rules of each kind of check (proto/remuda/v1/deployment_step.proto). Does not own: when
// it is asked and what follows (deployment/), asking the outside (analysis/probe.h and the shell).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "controller/core/model/probe.h"
#include "remuda/v1/deployment.pb.h"
#include "remuda/v1/deployment_step.pb.h"

namespace remuda::core {

// Whether the check is asked outside of this program: a webhook, a Prometheus, a command.
bool IsProbe(const v1::AnalysisCheck& check);

// One evaluation a check, in their order: verdict, a sentence with numbers, rule and limit, the
// numbers. Step and background are the caller's to fill. Defaults are filled in (door/defaults.h).
std::vector<v1::AnalysisEvaluation> Evaluate(const v1::Analysis& analysis,
                                             const v1::SideCounts& old_side,
                                             const v1::SideCounts& new_side,
                                             const std::map<std::string, ProbeAnswer>& answers,
                                             Time now);

// FAILED before INCONCLUSIVE before PASSED; of none: PASSED.
AnalysisVerdict Worst(const std::vector<v1::AnalysisEvaluation>& evaluations);

// When to evaluate again after `last` (InfinitePast: not yet): an interval later, and not before
// each check that is asked outside has been answered since. InfiniteFuture: an answer is awaited,
// which makes the deployment be looked at. So no answer counts twice.
Time EvaluationDue(const v1::Analysis& analysis, const std::map<std::string, ProbeAnswer>& answers,
                   Time last);

}  // namespace remuda::core
