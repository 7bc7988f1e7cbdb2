// What checks outside of this program answer: webhooks, Prometheus, commands. An observation.
//
// What to ask, and what an answer means: analysis/probe.h, analysis/answer.h. Thread: the loop
// thread.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <string>

#include "controller/core/model/time.h"
#include "remuda/v1/deployment.pb.h"

namespace remuda::core {

using AnalysisVerdict = v1::AnalysisEvaluation::Verdict;

// One check of one analysis of a deployment.
struct ProbeId {
  std::string deployment;  // id
  int step = 0;            // position of the step, from 1; 0: the deployment's own analysis
  std::string check;       // its name
  auto operator<=>(const ProbeId&) const = default;
};

// What it came to when it was asked last.
struct ProbeAnswer {
  Time asked = absl::InfinitePast();
  Time finished = absl::InfinitePast();
  AnalysisVerdict verdict = v1::AnalysisEvaluation::VERDICT_INCONCLUSIVE;
  std::optional<double> value = std::nullopt;
  std::string description = {};  // a sentence, valid UTF-8
};

using ProbeAnswers = std::map<ProbeId, ProbeAnswer>;

}  // namespace remuda::core
