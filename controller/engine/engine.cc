#include "controller/engine/engine.h"

#include <google/protobuf/any.pb.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "controller/core/model/shift_row.h"
#include "controller/core/reconcile/pass.h"
#include "controller/limits.h"
#include "google/rpc/error_details.pb.h"

namespace remuda {
namespace {

// Keys of the agenda that are no group's: no id has a slash.
constexpr std::string_view kHosts = "hosts/";
constexpr std::string_view kTargets = "targets/";

// What a look at a group costs beside its instances, in such.
constexpr size_t kLookAtGroup = 8;

// Takes those from `next` on (if there is none, from the first) while `has_place` says so of the
// one. Afterwards `next` is the first that is left, or empty if none is.
template <class HasPlace>
std::set<std::string> TakeFrom(std::set<std::string>& from, std::string& next, HasPlace has_place) {
  std::set<std::string> out;
  auto it = from.lower_bound(next);
  if (it == from.end()) it = from.begin();
  while (it != from.end() && has_place(*it)) out.insert(from.extract(it++));
  next = it == from.end() ? "" : *it;
  return out;
}

bool IsStaleEpoch(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kFailedPrecondition) return false;
  const auto payload = status.GetPayload("type.googleapis.com/google.rpc.ErrorInfo");
  google::rpc::ErrorInfo info;
  return payload.has_value() && info.ParseFromString(std::string(*payload)) &&
         info.reason() == "STALE_EPOCH";
}

}  // namespace

Engine::Engine(Options options, const Clock& clock, Committer& committer, Metrics& metrics)
    : clock_(clock),
      committer_(committer),
      metrics_(metrics),
      read_certificate_(options.read_certificate),
      check_authorities_(options.check_authorities),
      analysis_commands_(std::move(options.analysis_commands)),
      on_leadership_lost_(std::move(options.on_leadership_lost)),
      on_store_(std::move(options.on_store)),
      bounds_(options.bounds),
      state_(std::move(options.state)) {
  seen_.start = clock_.Now();
  seen_.patience = options.patience;
  TouchAll(state_, touched_);
  metrics_.commit = state_.commit();
}

Touched Engine::TakeTouched() {
  Touched taken = std::exchange(touched_, {});
  looks_.Merge(Looks(taken));
  return taken;
}

bool Engine::has_looks() const {
  return looks_.all || looks_.all_groups || !looks_.groups.empty() || !looks_.present.empty() ||
         looks_.proxies || looks_.drained_targets || looks_.orphans;
}

bool Engine::is_idle() const {
  return under_way_ == nullptr && commands_.empty() && looks_.empty() && !touched_.reconcile();
}

absl::Time Engine::due() const {
  if (under_way_ != nullptr) return absl::InfiniteFuture();
  if (!commands_.empty()) return absl::InfinitePast();
  if (!looks_.empty() || touched_.reconcile()) return std::max(retry_at_, absl::InfinitePast());
  return std::max(retry_at_, std::min(all_due_, agenda_.due()));
}

void Engine::Gather(absl::Time now) {
  looks_.Merge(std::exchange(static_cast<Looks&>(touched_), {}));
  if (now >= all_due_) {
    looks_.all_groups = looks_.proxies = looks_.drained_targets = true;
    all_due_ = absl::InfiniteFuture();
    // They are shown, and waited for, without proxies whose leases are over.
    touched_.all_targets = touched_.deployments = true;
  }
  NameAll();
  if (std::exchange(looks_.confirmed, false)) {
    AddListed(agenda_.ConfirmedBy(core::ConfirmedByAll(state_, seen_, now)));
  }
  if (std::exchange(looks_.room, false)) agenda_.RoomChanged(now);
  AddListed(agenda_.Due(now));
  if (looks_.present.empty()) return;
  AddListed(agenda_.OnHosts());
  for (const auto& [group, at] : balance_at_) {
    if (at <= now) {
      looks_.groups.insert(group);
    } else {
      agenda_.DueBy(group, at);
    }
  }
}

void Engine::NameAll() {
  if (std::exchange(looks_.all, false)) {
    looks_.all_groups = looks_.proxies = looks_.drained_targets = looks_.orphans = true;
    for (const auto& [id, row] : state_.All<v1::Host>()) looks_.present.insert(id);
    for (const auto& [id, host] : seen_.hosts) looks_.present.insert(id);
  }
  if (!std::exchange(looks_.all_groups, false)) return;
  for (const auto& [id, row] : state_.All<v1::AutoScalingGroup>()) looks_.groups.insert(id);
  if (!state_.InstancesOfGroup(core::kNoGroup).empty()) looks_.groups.emplace(core::kNoGroup);
  for (const auto& [id, row] : state_.All<v1::Deployment>()) {
    if (row->has_shift()) looks_.groups.insert(std::string(core::kShiftKeys) + id);
  }
}

void Engine::AddListed(const std::set<std::string>& keys) {
  for (const std::string& key : keys) {
    if (key == kTargets) {
      looks_.drained_targets = true;
    } else if (key.starts_with(kHosts)) {
      looks_.present.insert(key.substr(kHosts.size()));
    } else {
      looks_.groups.insert(key);
    }
  }
}

void Engine::Turn() {
  was_cut_ = false;
  if (under_way_ != nullptr) return;
  const absl::Time now = clock_.Now();
  Gather(now);
  const bool reconcile = has_looks() && now >= retry_at_;
  if (commands_.empty() && !reconcile) return;

  auto batch = std::make_unique<Batch>();
  batch->begun = now;
  core::Draft draft(state_);
  Decide(*batch, draft);
  if (reconcile) ReconcileOn(draft, now);
  batch->changes = std::make_shared<const core::Changes>(draft.Take());
  // While the store fails, an empty commit is tried too: without it nothing would tell that the
  // cause is gone, if there is nothing else to commit.
  const bool is_probe = !seen_.store.error.empty() && now >= retry_at_;
  if (batch->changes->empty() && !is_probe) {
    Answer(*batch, absl::OkStatus());
    return;
  }
  under_way_ = std::move(batch);
  committer_.Begin(under_way_->changes,
                   [this](absl::StatusOr<int64_t> commit) { OnCommitted(std::move(commit)); });
}

void Engine::Decide(Batch& batch, core::Draft& draft) {
  const core::Context context{seen_, batch.begun, read_certificate_, check_authorities_,
                              &analysis_commands_};
  while (!commands_.empty() && batch.decided.size() < limits::kMaxBatchCommands) {
    Command command = std::move(commands_.front());
    commands_.pop_front();
    absl::Status status = command.decide(draft, context);
    batch.decided.emplace_back(std::move(command), std::move(status));
  }
}

void Engine::ReconcileOn(core::Draft& draft, absl::Time now) {
  core::Scope scope = TakeLooks(now);
  scope.left = core::Observe(draft, seen_, now, scope);
  Take(core::ReconcileSome(draft, seen_, now, scope), scope, now);
}

core::Scope Engine::TakeLooks(absl::Time now) {
  core::Scope scope;
  scope.housekeeping = false;
  size_t instances = 0;
  scope.groups = TakeFrom(looks_.groups, next_group_, [&](const std::string& group) {
    const bool is_there = instances < bounds_.instances;
    instances += kLookAtGroup + state_.InstancesOfGroup(group).size();
    return is_there;
  });
  size_t hosts = 0;
  scope.hosts = TakeFrom(looks_.present, next_host_,
                         [&](const std::string&) { return hosts++ < bounds_.hosts; });
  scope.proxies = std::exchange(looks_.proxies, false);
  scope.targets = std::exchange(looks_.drained_targets, false);
  scope.orphans = std::exchange(looks_.orphans, false);
  for (const std::string& group : *scope.groups) {
    const auto it = balance_at_.find(group);
    if (it != balance_at_.end() && it->second > now) scope.balanced.insert(group);
  }
  scope.hosts_left = &looks_.present;
  scope.max_edits = edits_;
  scope.batch = bounds_.batch;
  return scope;
}

void Engine::NoteTurn(absl::Duration took) {
  if (took > limits::kLongTurn) {
    edits_ = std::max(bounds_.edits, edits_ / 2);
  } else if (took < limits::kShortTurn && was_cut_) {
    edits_ = std::min(bounds_.most_edits, edits_ * 2);
  }
}

void Engine::Take(core::Agendum agendum, const core::Scope& scope, absl::Time now) {
  was_cut_ = !agendum.left.empty();
  const absl::Time soonest = now + limits::kMinReconcileInterval;
  for (const std::string& group : *scope.groups) {
    if (agendum.groups.contains(group) || agendum.left.contains(group)) continue;
    agenda_.Erase(group);
    balance_at_.erase(group);
  }
  for (const std::string& host : scope.hosts) agenda_.Erase(std::string(kHosts) + host);
  // One that was looked at and has more to do comes after those that were not.
  const auto unseen = std::find_if(agendum.left.begin(), agendum.left.end(),
                                   [&](const auto& id) { return !agendum.groups.contains(id); });
  if (unseen != agendum.left.end()) next_group_ = *unseen;
  looks_.groups.merge(agendum.left);
  if (scope.proxies) all_due_ = std::max(agendum.all, soonest);
  for (const auto& [host, lost] : agendum.hosts) {
    agenda_.Set(std::string(kHosts) + host, {.due = std::max(lost, soonest)}, now);
  }
  if (agendum.targets.has_value()) {
    agendum.targets->due = std::max(agendum.targets->due, soonest);
    agenda_.Set(std::string(kTargets), std::move(*agendum.targets), now);
  }
  for (auto& [group, waits] : agendum.groups) {
    waits.due = std::max(waits.due, soonest);
    agenda_.Set(group, std::move(waits), now);
    // One whose zones were not looked at is looked at again when they may be.
    absl::Time& balance_at = balance_at_[group];
    if (scope.balanced.contains(group)) {
      agenda_.DueBy(group, balance_at);
    } else {
      balance_at = now + core::kBalanceInterval;
    }
  }
}

void Engine::OnCommitted(absl::StatusOr<int64_t> commit) {
  const std::unique_ptr<Batch> batch = std::move(under_way_);
  metrics_.commit_seconds.Record(absl::ToDoubleSeconds(clock_.Now() - batch->begun));
  if (!commit.ok()) {
    OnFailed(commit.status());
    // Who called has done nothing wrong, and may ask the other one.
    Answer(*batch, IsStaleEpoch(commit.status())
                       ? Unavailable("NO_LEADER", std::string(commit.status().message()))
                       : commit.status());
    return;
  }
  SetStoreError("");
  Apply(*batch->changes, *commit);
  metrics_.commands += static_cast<int64_t>(batch->decided.size());
  Answer(*batch, absl::OkStatus());
}

void Engine::Apply(const core::Changes& changes, int64_t commit) {
  TouchEdits(state_, changes, touched_);
  state_.Apply(changes, commit);
  TouchEdits(state_, changes, touched_);
  ForgetDeleted(changes);
  metrics_.commit = commit;
  ++metrics_.commits;
  metrics_.committed_rows += static_cast<int64_t>(changes.edits.size());
  if (on_commit_) on_commit_(changes);
}

void Engine::ForgetDeleted(const core::Changes& changes) {
  const auto forget = [](auto& receivers, const std::string& id) {
    const auto it = receivers.find(id);
    if (it != receivers.end() && !it->second.connected) receivers.erase(it);
  };
  for (const core::Edit& edit : changes.edits) {
    if (edit.value != nullptr) continue;
    if (edit.kind == core::Kind::kHost) forget(seen_.hosts, edit.key);
    if (edit.kind != core::Kind::kProxy) continue;
    // What it said counts no more.
    if (const auto it = seen_.proxies.find(edit.key); it != seen_.proxies.end()) {
      if (!it->second.connected) it->second.health.Clear();
      seen_.votes.CountNew(edit.key, it->second.health);
      if (!it->second.connected) core::ForgetFlows(it->second.counted.flows, seen_.flows);
    }
    forget(seen_.proxies, edit.key);
  }
}

void Engine::OnFailed(const absl::Status& status) {
  ++metrics_.commit_failures;
  spdlog::error("commit failed, nothing of it is applied: {}", status.ToString());
  // What reconciliation decided is lost with the draft; it decides again.
  looks_.all = true;
  retry_at_ = clock_.Now() + limits::kCommitRetryDelay;
  SetStoreError(std::string(status.message()));
  if (IsStaleEpoch(status) && on_leadership_lost_) on_leadership_lost_(status);
}

void Engine::SetStoreError(const std::string& error) {
  core::StoreObservation& store = seen_.store;
  if (store.error == error) return;
  if (store.error.empty()) store.since = clock_.Now();
  if (error.empty()) spdlog::info("the store commits again");
  store.error = error;
  metrics_.store_failing = error.empty() ? 0 : 1;
  if (on_store_) on_store_(error);
}

void Engine::Refuse(const absl::Status& why) {
  for (const Command& command : std::exchange(commands_, {})) command.done(why, state_);
}

void Engine::Answer(Batch& batch, const absl::Status& outcome) {
  for (auto& [command, status] : batch.decided) {
    // An error was decided beside edits of the same batch: if those are lost, so is its ground.
    command.done(outcome.ok() ? status : outcome, state_);
  }
}

}  // namespace remuda
