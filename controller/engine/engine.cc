#include "controller/engine/engine.h"

#include <google/protobuf/any.pb.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "controller/core/reconcile/pass.h"
#include "controller/limits.h"
#include "google/rpc/error_details.pb.h"

namespace remuda {
namespace {

// Keys of the agenda that are no group's: no id has a slash.
constexpr std::string_view kHosts = "hosts/";
constexpr std::string_view kTargets = "targets/";

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
      on_leadership_lost_(std::move(options.on_leadership_lost)),
      on_store_(std::move(options.on_store)),
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
  return looks_.all_groups || !looks_.groups.empty() || !looks_.present.empty() ||
         looks_.drained_targets;
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
    looks_.all_groups = true;
    all_due_ = absl::InfiniteFuture();
    // They are shown, and waited for, without proxies whose leases are over.
    touched_.all_targets = touched_.deployments = true;
  }
  if (looks_.all_groups) return;
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
  const core::Context context{seen_, batch.begun, read_certificate_, check_authorities_};
  while (!commands_.empty() && batch.decided.size() < limits::kMaxBatchCommands) {
    Command command = std::move(commands_.front());
    commands_.pop_front();
    absl::Status status = command.decide(draft, context);
    batch.decided.emplace_back(std::move(command), std::move(status));
  }
}

void Engine::ReconcileOn(core::Draft& draft, absl::Time now) {
  core::Scope scope;
  Looks looks = std::exchange(looks_, {});
  if (!looks.all_groups) {
    scope.groups = std::move(looks.groups);
    scope.housekeeping = false;
    scope.hosts = std::move(looks.present);
    scope.targets = looks.drained_targets;
  }
  for (const auto& [group, at] : balance_at_) {
    if (at > now) scope.balanced.insert(group);
  }
  scope.max_edits = limits::kMaxReconcileEdits;
  scope.left = core::Observe(draft, seen_, now, scope);
  Take(core::ReconcileSome(draft, seen_, now, scope), scope, now);
}

void Engine::Take(core::Agendum agendum, const core::Scope& scope, absl::Time now) {
  const absl::Time soonest = now + limits::kMinReconcileInterval;
  if (!scope.groups.has_value()) {
    agenda_.Clear();
    std::erase_if(balance_at_, [&](const auto& e) { return !agendum.groups.contains(e.first); });
    all_due_ = absl::InfiniteFuture();
  } else {
    for (const std::string& group : *scope.groups) {
      if (agendum.groups.contains(group) || agendum.left.contains(group)) continue;
      agenda_.Erase(group);
      balance_at_.erase(group);
    }
    for (const std::string& host : scope.hosts) agenda_.Erase(std::string(kHosts) + host);
  }
  looks_.groups.merge(agendum.left);
  all_due_ = std::min(all_due_, std::max(agendum.all, soonest));
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
    Answer(*batch, commit.status());
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
    }
    forget(seen_.proxies, edit.key);
  }
}

void Engine::OnFailed(const absl::Status& status) {
  ++metrics_.commit_failures;
  spdlog::error("commit failed, nothing of it is applied: {}", status.ToString());
  // What reconciliation decided is lost with the draft; it decides again.
  looks_.all_groups = true;
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

void Engine::Answer(Batch& batch, const absl::Status& outcome) {
  for (auto& [command, status] : batch.decided) {
    // An error was decided beside edits of the same batch: if those are lost, so is its ground.
    command.done(outcome.ok() ? status : outcome, state_);
  }
}

}  // namespace remuda
