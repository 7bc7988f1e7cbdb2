#include "tests/sim/proxy.h"

#include <utility>
#include <vector>

namespace remuda::sim {

using absl::Milliseconds;
using absl::Seconds;
using core::TargetId;

bool Proxy::IsActive(const TargetId& target) const {
  const auto view = config_.find(target.first);
  if (view == config_.end()) return false;
  const auto it = view->second.targets.find(target.second);
  return it != view->second.targets.end() && it->second.state() == proxy::v1::Target::STATE_ACTIVE;
}

std::map<TargetId, int64_t> Proxy::Busy() const {
  std::map<TargetId, int64_t> busy;
  for (const auto& [target, count] : in_flight_) {
    if (count > 0 && !IsActive(target)) busy[target] = count;
  }
  return busy;
}

int64_t Proxy::InFlight(const TargetId& target) const {
  const auto it = in_flight_.find(target);
  return it == in_flight_.end() ? 0 : it->second;
}

google::protobuf::RepeatedPtrField<proxy::v1::SubsetStats> Proxy::Stats() const {
  google::protobuf::RepeatedPtrField<proxy::v1::SubsetStats> out;
  for (const auto& [id, stats] : counts_) *out.Add() = stats;
  return out;
}

void Proxy::Count(const core::SubsetId& subset, bool is_error) {
  proxy::v1::SubsetStats& stats = counts_[subset];
  stats.set_target_group(subset.first);
  stats.set_subset(subset.second);
  stats.set_requests(stats.requests() + 1);
  stats.set_errors(stats.errors() + (is_error ? 1 : 0));
}

void Proxy::Begin() {
  CheckAll();
  SendOne();
}

void Proxy::Adopt(Config config) {
  config_ = std::move(config);
  for (const auto& [group, view] : config_) {
    for (const auto& [id, target] : view.targets) {
      const TargetId key{group, id};
      if (target.state() == proxy::v1::Target::STATE_ACTIVE && health_.count(key) == 0) {
        health_[key] = v1::TARGET_STATE_INITIAL;
        health_changed(key, v1::TARGET_STATE_INITIAL);
        CheckOne(key);
      }
    }
  }
  for (auto it = health_.begin(); it != health_.end();) {
    const auto view = config_.find(it->first.first);
    const bool known = view != config_.end() && view->second.targets.count(it->first.second) != 0;
    if (!known) checks_.erase(it->first);
    it = known ? std::next(it) : health_.erase(it);
  }
}

void Proxy::CrashAndReload() {
  ++life_;
  in_flight_.clear();
  counts_.clear();
  health_.clear();
  checks_.clear();
  Adopt(std::exchange(config_, {}));
}

void Proxy::CheckAll() {
  std::vector<TargetId> targets;
  for (const auto& [target, state] : health_) targets.push_back(target);
  for (const TargetId& target : targets) CheckOne(target);
  scheduler_.After(random_.Between(Milliseconds(800), Milliseconds(1200)), [this] { CheckAll(); });
}

void Proxy::CheckOne(const TargetId& id) {
  const Process* process = lookup_(id.second);
  Check& check = checks_[id];
  v1::TargetState& state = health_[id];
  const v1::TargetState before = state;
  if (process != nullptr && process->PassesCheck()) {
    check.failures = 0;
    if (state == v1::TARGET_STATE_INITIAL || ++check.passes >= 2) state = v1::TARGET_STATE_HEALTHY;
  } else {
    check.passes = 0;
    if (++check.failures >= 2) state = v1::TARGET_STATE_UNHEALTHY;
  }
  if (state != before) health_changed(id, state);
}

std::string Proxy::Pick(const std::string& target_group, const core::TargetGroupView& view) {
  std::map<std::string, int> weights;
  if (view.split.has_value()) {
    for (const auto& subset : view.split->subsets()) weights[subset.subset()] = subset.weight();
  }
  // First the subset, by weight, of those that have a healthy target; then one of its targets.
  std::map<std::string, std::vector<std::string>> healthy;
  std::vector<std::string> open;
  for (const auto& [id, target] : view.targets) {
    const bool takes = !target.has_weight() || target.weight() > 0;
    if (target.state() != proxy::v1::Target::STATE_ACTIVE || weights[target.subset()] == 0 ||
        !takes) {
      continue;
    }
    open.push_back(id);
    const auto it = health_.find({target_group, id});
    if (it != health_.end() && it->second == v1::TARGET_STATE_HEALTHY) {
      healthy[target.subset()].push_back(id);
    }
  }
  int whole = 0;
  for (const auto& [subset, ids] : healthy) whole += weights[subset];
  int point = healthy.size() > 1 ? random_.Below(whole) : 0;
  for (const auto& [subset, ids] : healthy) {
    point -= weights[subset];
    if (point < 0) return random_.Of(ids);
  }
  return open.empty() ? "" : random_.Of(open);
}

void Proxy::SendOne() {
  scheduler_.After(random_.Between(Milliseconds(100), Milliseconds(500)), [this] { SendOne(); });
  if (!sends_) return;
  for (const auto& [group, view] : config_) {
    const TargetId target{group, Pick(group, view)};
    if (target.second.empty()) {
      failed("no target in " + group);
      continue;
    }
    picked(target);
    const Process* process = lookup_(target.second);
    const core::SubsetId subset{group, view.targets.at(target.second).subset()};
    if (process == nullptr || !process->Serves()) {
      Count(subset, true);
      failed(target.second + " does not serve");
      continue;
    }
    ++in_flight_[target];
    scheduler_.After(random_.Between(Milliseconds(1), Seconds(4)),
                     [this, target, subset, life = life_] { Finish(target, subset, life); });
  }
}

void Proxy::Finish(const TargetId& target, const core::SubsetId& subset, int life) {
  if (life != life_) return;
  const Process* process = lookup_(target.second);
  const bool is_cut = process == nullptr || !process->Alive() || process->stop_asked;
  if (is_cut) failed(target.second + " ended with a request in flight");
  Count(subset, is_cut || (process->behaviour == Behaviour::kAnswersErrors &&
                           random_.Below(100) < error_percent));
  const bool was_busy = !IsActive(target);
  --in_flight_[target];
  if (in_flight_[target] == 0) in_flight_.erase(target);
  if (was_busy) busy_changed();
}

}  // namespace remuda::sim
