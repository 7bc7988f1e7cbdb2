#include "controller/metering/meter.h"

#include <algorithm>
#include <utility>

#include "controller/core/metrics/date_back.h"
#include "controller/core/metrics/fold.h"
#include "controller/core/policies/evaluate.h"
#include "controller/core/policies/forecast.h"
#include "controller/limits.h"

namespace remuda {

Meter::Meter(Engine& engine, Asker* asker, GroupPage& page, size_t instances)
    : engine_(engine),
      asker_(asker),
      page_(page),
      instances_(instances),
      due_(engine.Now() + engine.seen().metrics.period) {}

absl::Time Meter::Turn() {
  const absl::Time now = engine_.Now();
  // A clock that was set back must not silence the policies until it is there again.
  due_ = std::min(due_, now + engine_.seen().metrics.period);
  if (now < looked_) core::DateBack(engine_.observe().metrics, now);
  looked_ = now;
  if (now < due_ && next_group_.empty()) return due_;
  core::Observations& seen = engine_.observe();
  // After a stall of the loop no period is made up for.
  if (next_group_.empty())
    due_ = std::max(due_ + seen.metrics.period, now + seen.metrics.period / 2);
  next_group_ = core::FoldSome(engine_.state(), seen, now, next_group_, instances_);
  if (!next_group_.empty()) return absl::InfinitePast();
  KeepLoads(now);
  engine_.touched().groups.merge(core::EvaluateGroups(engine_.state(), seen, now));
  engine_.touched().metrics = true;
  page_.Publish(seen.metrics);
  AskAll();
  return due_;
}

// What forecasts are made of outlives the controller. A row that is lost with a commit that failed
// lacks one span.
void Meter::KeepLoads(absl::Time now) {
  auto rows = core::TakeLoads(engine_.state(), engine_.observe().metrics, now);
  std::vector<std::string> unneeded = core::UnneededLoads(engine_.state());
  if (rows.empty() && unneeded.empty()) return;
  engine_.Add({.decide = [rows = std::move(rows), unneeded = std::move(unneeded)](
                             core::Draft& draft, const core::Context&) -> absl::Status {
                 for (const auto& [key, row] : rows) draft.Put(key, row);
                 for (const std::string& key : unneeded) {
                   draft.Delete<store::v1::LoadHistory>(key);
                 }
                 return absl::OkStatus();
               },
               .done = [](const absl::Status&, const core::State&) {}});
}

void Meter::AskAll() {
  if (asker_ == nullptr) return;
  std::map<core::PolicyId, core::Probe> wanted = core::PolicyQueries(engine_.state());
  auto& queried = engine_.observe().metrics.queried;
  std::erase_if(queried, [&](const auto& entry) { return !wanted.contains(entry.first); });
  std::erase_if(questions_, [&](const auto& entry) {
    return !wanted.contains(entry.first) && !entry.second.is_under_way;
  });
  for (auto& [id, probe] : wanted) {
    Question& question = questions_[id];
    // What another query said says nothing of this one.
    if (question.probe.url.target != probe.url.target) queried[id] = {};
    question.probe = std::move(probe);
  }
  // Where more are wanted than may be asked at once, the others have the next period.
  auto it = questions_.lower_bound(next_);
  for (size_t i = 0; i < questions_.size() && under_way_ < limits::kMaxProbes; ++i, ++it) {
    if (it == questions_.end()) it = questions_.begin();
    if (!it->second.is_under_way) Ask(it->first, it->second);
  }
  next_ = it == questions_.end() ? core::PolicyId() : it->first;
}

void Meter::Ask(const core::PolicyId& id, Question& question) {
  question.is_under_way = true;
  ++under_way_;
  asker_->Ask(question.probe, "",
              [this, id, probe = question.probe](const core::ProbeOutcome& outcome) {
                Take(id, probe, outcome);
              });
}

void Meter::Take(const core::PolicyId& id, const core::Probe& probe,
                 const core::ProbeOutcome& outcome) {
  --under_way_;
  Question& question = questions_.at(id);
  question.is_under_way = false;
  auto& queried = engine_.observe().metrics.queried;
  const auto it = queried.find(id);
  if (it == queried.end() || question.probe.url.target != probe.url.target) return;
  core::TakeQueried(probe, outcome, engine_.Now(), it->second);
}

}  // namespace remuda
