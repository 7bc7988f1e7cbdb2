// What an answer from outside means: a verdict, and what to say of it. Pure.
//
// Whatever comes is text of strangers: it is bounded, and made valid UTF-8 without control
// characters before it is kept.
#pragma once

#include <string>
#include <string_view>

#include "controller/core/analysis/probe.h"
#include "controller/core/model/probe.h"

namespace remuda::core {

// What came of an HTTP request or of a program.
struct ProbeOutcome {
  std::string trouble = {};  // why there is no answer, as a sentence's end; empty: there is one
  int status = 0;            // HTTP's, or the program's exit status
  std::string body = {};     // at most limits::kProbeAnswerBytes
};

// Times are the caller's to fill.
ProbeAnswer AnswerTo(const Probe& probe, const ProbeOutcome& outcome);

}  // namespace remuda::core
