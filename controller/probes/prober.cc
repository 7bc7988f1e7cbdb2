#include "controller/probes/prober.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "controller/engine/touched.h"
#include "controller/limits.h"

namespace remuda {

Prober::Prober(Engine& engine, Asker* asker) : engine_(engine), asker_(asker) {
  for (const auto& [id, probe] : core::ProbesWanted(engine.state())) changed_.insert(id.deployment);
}

void Prober::OnCommit(const core::Changes& changes) {
  if (asker_ == nullptr) return;
  for (const core::Edit& edit : changes.edits) {
    if (edit.kind == core::Kind::kDeployment) changed_.insert(edit.key);
  }
}

void Prober::Look(const std::string& deployment) {
  const auto* row = engine_.state().Find<v1::Deployment>(deployment);
  std::map<core::ProbeId, core::Probe> wanted;
  if (row != nullptr) wanted = core::ProbesOf(deployment, **row);
  std::vector<core::ProbeId> known;
  for (auto it = questions_.lower_bound({deployment, 0, ""});
       it != questions_.end() && it->first.deployment == deployment; ++it) {
    known.push_back(it->first);
  }
  for (const core::ProbeId& id : known) {
    if (!wanted.contains(id)) Drop(id);
  }
  for (auto& [id, probe] : wanted) {
    Question& question = questions_[id];
    question.probe = std::move(probe);
    question.is_wanted = true;
  }
}

// An answer to what was asked before it is wanted again is as old as the question.
void Prober::Drop(const core::ProbeId& id) {
  engine_.observe().answers.erase(id);
  const auto it = questions_.find(id);
  if (it->second.is_under_way) {
    it->second.is_wanted = false;
  } else {
    questions_.erase(it);
  }
}

absl::Time Prober::Turn() {
  if (asker_ == nullptr) return absl::InfiniteFuture();
  for (const std::string& deployment : std::exchange(changed_, {})) Look(deployment);
  const absl::Time now = engine_.Now();
  absl::Time next = absl::InfiniteFuture();
  std::vector<std::pair<absl::Time, core::ProbeId>> due;
  for (const auto& [id, question] : questions_) {
    if (!question.is_wanted || question.is_under_way) continue;
    if (question.due <= now) {
      due.emplace_back(question.due, id);
    } else {
      next = std::min(next, question.due);
    }
  }
  std::sort(due.begin(), due.end());
  for (const auto& [since, id] : due) {
    // The others have their turn when an answer comes.
    if (under_way_ >= limits::kMaxProbes) break;
    Ask(id, questions_.at(id));
  }
  return next;
}

void Prober::Ask(const core::ProbeId& id, Question& question) {
  const absl::Time now = engine_.Now();
  const auto* row = engine_.state().Find<v1::Deployment>(id.deployment);
  if (row == nullptr) return;  // gone, and looked at in the next turn
  question.is_under_way = true;
  question.due = now + question.probe.interval;
  ++under_way_;
  std::string body;
  if (question.probe.has_body()) {
    body = core::ProbeBody(engine_.state(), engine_.seen(), id, **row, question.probe.check);
  }
  asker_->Ask(question.probe, std::move(body),
              [this, id, probe = question.probe, now](const core::ProbeOutcome& outcome) {
                Take(id, probe, now, outcome);
              });
}

void Prober::Take(const core::ProbeId& id, const core::Probe& probe, absl::Time asked,
                  const core::ProbeOutcome& outcome) {
  --under_way_;
  const auto it = questions_.find(id);
  it->second.is_under_way = false;
  if (!it->second.is_wanted) {
    questions_.erase(it);
    return;
  }
  core::ProbeAnswer answer = core::AnswerTo(probe, outcome);
  answer.asked = asked;
  answer.finished = engine_.Now();
  engine_.observe().answers[id] = std::move(answer);
  TouchDeployment(engine_.state(), id.deployment, engine_.touched());
}

}  // namespace remuda
