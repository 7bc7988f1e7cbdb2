// ProbeThread: asks webhooks and Prometheus, and runs commands, on a thread of its own. Answers are
// posted to the loop.
//
// Owns: the thread, the connections, the programs that run. Plain HTTP only; redirects are not
// followed. A program is begun without a shell, and only if it is one of `commands`. Every question
// has a time limit and every answer a bound (core/model/limits.h, limits.h). How many are asked at
// once is the Prober's.
#pragma once

#include <memory>
#include <string>

#include "controller/core/door/execute.h"
#include "controller/engine/loop.h"
#include "controller/probes/asker.h"

namespace remuda {

class ProbeThread final : public Asker {
 public:
  // The loop outlives it.
  ProbeThread(Loop& loop, core::AnalysisCommands commands);
  ProbeThread(const ProbeThread&) = delete;
  ProbeThread& operator=(const ProbeThread&) = delete;
  ~ProbeThread() override;  // stops

  void Ask(const core::Probe& probe, std::string body, Done done) override;

  // Ends what is under way and the thread; the outcomes are still posted. No program is left.
  // Before the loop is stopped. May be called twice.
  void Stop();

 private:
  struct Running;

  Loop& loop_;
  const core::AnalysisCommands commands_;
  std::unique_ptr<Running> running_;
};

}  // namespace remuda
