// Asker: puts one question to the outside world. The seam between who decides what is asked
// (Prober) and who does it (ProbeThread, or a test).
#pragma once

#include <functional>
#include <string>

#include "controller/core/analysis/answer.h"
#include "controller/core/analysis/probe.h"

namespace remuda {

class Asker {
 public:
  using Done = std::function<void(core::ProbeOutcome)>;
  virtual ~Asker() = default;
  // `body` is what a webhook is sent and a command reads. `done` is called exactly once, later, on
  // the loop thread, never from inside Ask.
  virtual void Ask(const core::Probe& probe, std::string body, Done done) = 0;
};

}  // namespace remuda
