// Meter: once a period has what was reported folded into values of groups, what policies make of
// them decided, and their queries asked.
//
// Owns: when. Does not own: the values (core/metrics/fold.h), the decisions (core/policies/), the
// asking (Asker). Nothing is kept: after a restart all is measured anew. Thread: the loop thread.
#pragma once

#include <map>
#include <string>

#include "controller/core/analysis/policy_query.h"
#include "controller/engine/engine.h"
#include "controller/limits.h"
#include "controller/metering/group_page.h"
#include "controller/probes/asker.h"

namespace remuda {

class Meter {
 public:
  // All outlive it, and it outlives the answers. `asker` null: nothing is asked. The period is that
  // of engine.seen().metrics. One turn folds groups of so many instances, or one group.
  Meter(Engine& engine, Asker* asker, GroupPage& page,
        size_t instances = limits::kMaxInstancesLookedAt);
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  // Folds if a period is over, a part of the groups each turn. Answers when there is more to do.
  // Before the engine's turn, which then looks at the groups for which something was decided.
  absl::Time Turn();

 private:
  struct Question {
    core::Probe probe;
    bool is_under_way = false;
  };

  void KeepLoads(absl::Time now);
  void AskAll();
  void Ask(const core::PolicyId& id, Question& question);
  void Take(const core::PolicyId& id, const core::Probe& probe, const core::ProbeOutcome& outcome);

  Engine& engine_;
  Asker* const asker_;
  GroupPage& page_;
  const size_t instances_;
  absl::Time due_;                            // of the next fold
  absl::Time looked_ = absl::InfinitePast();  // the newest turn
  std::string next_group_;  // where the one that is under way goes on; empty: none is
  // One that is wanted no more stays until its answer has come: one at a time is under way.
  std::map<core::PolicyId, Question> questions_;
  size_t under_way_ = 0;
  core::PolicyId next_;  // those before it have had their turn
};

}  // namespace remuda
