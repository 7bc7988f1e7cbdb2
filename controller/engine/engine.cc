#include "controller/engine/engine.h"

#include <google/protobuf/any.pb.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "controller/core/reconcile.h"
#include "controller/core/reconcile/pass.h"
#include "controller/limits.h"
#include "google/rpc/error_details.pb.h"

namespace remuda {
namespace {

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
  all_dirty_ = all_dirty_ || touched_.all_groups;
  dirty_.merge(touched_.groups);
  return std::exchange(touched_, {});
}

absl::Time Engine::due() const {
  if (under_way_ != nullptr) return absl::InfiniteFuture();
  if (!commands_.empty()) return absl::InfinitePast();
  const bool dirty = all_dirty_ || !dirty_.empty() || touched_.reconcile();
  return std::max(retry_at_, dirty ? absl::InfinitePast() : due_);
}

void Engine::Turn() {
  if (under_way_ != nullptr) return;
  all_dirty_ = all_dirty_ || touched_.all_groups;
  dirty_.insert(touched_.groups.begin(), touched_.groups.end());
  touched_.all_groups = false;
  touched_.groups.clear();
  const absl::Time now = clock_.Now();
  if (now >= due_) all_dirty_ = true;
  const bool reconcile = (all_dirty_ || !dirty_.empty()) && now >= retry_at_;
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
  if (!all_dirty_) {
    scope.groups = std::move(dirty_);
    scope.housekeeping = false;
  }
  scope.balance = all_dirty_ && now >= balance_at_;
  if (scope.balance) balance_at_ = now + core::kBalanceInterval;
  core::Observe(draft, seen_, now, scope);
  const absl::Time next =
      std::max(core::Reconcile(draft, seen_, now, scope), now + limits::kMinReconcileInterval);
  // A run over some groups knows only when these are due: an earlier time of others stands.
  due_ = all_dirty_ ? next : std::min(due_, next);
  if (all_dirty_ && !scope.balance) due_ = std::min(due_, balance_at_);
  all_dirty_ = false;
  dirty_.clear();
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
    if (edit.kind == core::Kind::kProxy) forget(seen_.proxies, edit.key);
  }
}

void Engine::OnFailed(const absl::Status& status) {
  ++metrics_.commit_failures;
  spdlog::error("commit failed, nothing of it is applied: {}", status.ToString());
  // What reconciliation decided is lost with the draft; it decides again.
  all_dirty_ = true;
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
