// Prober: has asked what the analyses of deployments want asked outside of this program, each as
// often as it says, and makes observations of the answers.
//
// Owns: what is wanted now, when each is due, what is under way. Does not own: what is wanted and
// what an answer means (controller/core/analysis/), the asking itself (Asker). Nothing is kept:
// after a restart all is asked again. Thread: the loop thread.
#pragma once

#include <map>
#include <set>
#include <string>

#include "controller/core/model/state.h"
#include "controller/engine/engine.h"
#include "controller/probes/asker.h"

namespace remuda {

class Prober {
 public:
  // Both outlive it, and it outlives the answers. `asker` null: nothing is asked.
  Prober(Engine& engine, Asker* asker);
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  // What these change is looked at by the next Turn.
  void OnCommit(const core::Changes& changes);

  // Asks what is due. Answers when it has something to do again by time alone.
  absl::Time Turn();

 private:
  struct Question {
    core::Probe probe;
    absl::Time due = absl::InfinitePast();
    bool is_wanted = true;
    bool is_under_way = false;
  };

  // Brings what is wanted for the deployment up to date.
  void Look(const std::string& deployment);
  void Drop(const core::ProbeId& id);
  void Ask(const core::ProbeId& id, Question& question);
  void Take(const core::ProbeId& id, const core::Probe& probe, absl::Time asked,
            const core::ProbeOutcome& outcome);

  Engine& engine_;
  Asker* const asker_;
  std::set<std::string> changed_;  // deployments
  // One that is wanted no more stays until its answer has come: one at a time is under way.
  std::map<core::ProbeId, Question> questions_;
  size_t under_way_ = 0;
};

}  // namespace remuda
