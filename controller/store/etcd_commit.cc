// The commits of EtcdStore. A request whose outcome is not known is settled before anything else is
// decided: the next transaction expects PREFIX/commit where the late one would have changed it, and
// changes it itself, so that only one of the two can ever be done.
#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <thread>

#include "common/status.h"
#include "controller/store/etcd_plan.h"
#include "controller/store/etcd_store.h"

namespace remuda {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;
using store::v1::EtcdCommit;

// Between two tries to find out.
constexpr EtcdClient::Duration kSettlePause{20};
// A commit that was not done for reasons that pass is tried again so often.
constexpr int kMaxTries = 3;
// Where etcd is so full that a late transaction cannot be shut out, leadership is given up after so
// long: that shuts it out too.
constexpr EtcdClient::Duration kFullPatience{3000};
constexpr EtcdClient::Duration kReleaseTimeout{1000};

bool IsPassing(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsCancelled(status);
}

bool IsSame(const EtcdCommit& a, const EtcdCommit& b) {
  return a.epoch() == b.epoch() && a.number() == b.number() && a.fences() == b.fences() &&
         a.staged() == b.staged() && a.lease() == b.lease();
}

// What a guarded transaction has read that was not done.
const etcdserverpb::RangeResponse& FoundBy(const TxnResponse& answer) {
  return answer.responses_size() == 0 ? etcdserverpb::RangeResponse::default_instance()
                                      : answer.responses(0).response_range();
}

// etcd does not take what this controller asks for (a user without rights, a lowered limit): it is
// no fault of whose command it was.
absl::Status NotOfCaller(const absl::Status& status) {
  return status.ok() || EtcdClient::MayBeDone(status) ? status
                                                      : Unavailable(std::string(status.message()));
}

absl::Status Stale(const std::string& text) { return FailedPrecondition("STALE_EPOCH", text); }

}  // namespace

TxnRequest EtcdStore::Guarded() const {
  TxnRequest txn;
  Compare& leads = *txn.add_compare();
  leads.set_key(keys_.Leader());
  leads.set_target(Compare::CREATE);
  leads.set_create_revision(leader_revision_);
  Compare& newest = *txn.add_compare();
  newest.set_key(keys_.Commit());
  newest.set_target(Compare::MOD);
  newest.set_mod_revision(head_.commit_revision);
  *txn.add_failure()->mutable_request_range() = LeaderAndCommit();
  return txn;
}

// Between the two are the controllers' records, which are few and small.
etcdserverpb::RangeRequest EtcdStore::LeaderAndCommit() const {
  etcdserverpb::RangeRequest request;
  request.set_key(keys_.Commit());
  request.set_range_end(keys_.Leader() + std::string(1, '\0'));
  return request;
}

void EtcdStore::AddEdits(TxnRequest& txn, const store::v1::EtcdStagedEdits& part,
                         int64_t number) const {
  store::v1::EtcdRow row;
  row.set_commit(number);
  for (const store::v1::EtcdEdit& edit : part.edits()) {
    const std::string key = keys_.Row(static_cast<core::Kind>(edit.kind()), edit.key());
    if (!edit.has_value()) {
      txn.add_success()->mutable_request_delete_range()->set_key(key);
      continue;
    }
    auto& put = *txn.add_success()->mutable_request_put();
    put.set_key(key);
    row.set_value(edit.value());
    row.SerializeToString(put.mutable_value());
  }
}

void EtcdStore::AddCommit(TxnRequest& txn, const EtcdCommit& record) const {
  auto& put = *txn.add_success()->mutable_request_put();
  put.set_key(keys_.Commit());
  record.SerializeToString(put.mutable_value());
}

absl::Status EtcdStore::CheckLeads(int64_t epoch) const {
  if (epoch != epoch_) {
    return Stale(absl::StrCat("etcd: epoch ", epoch,
                              " has ended, this controller has campaigned anew with epoch ", epoch_,
                              "; nothing was written"));
  }
  if (lease_ == nullptr || !lease_->IsHeld()) {
    return Stale(absl::StrCat("etcd: epoch ", epoch,
                              " has ended: the lease is lost, another controller may lead; nothing "
                              "was written"));
  }
  return absl::OkStatus();
}

absl::Status EtcdStore::LoseTo(const std::string& why) {
  // What comes late of this epoch finds no leader's key. The callback is the lease's, of who may
  // not know yet; who is called here hears it by the answer.
  lease_->Release(Clock::now() + kReleaseTimeout).IgnoreError();
  return Stale(absl::StrCat("etcd: epoch ", epoch_, " has ended: ", why));
}

absl::Status EtcdStore::Refused(const etcdserverpb::RangeResponse& found, const EtcdCommit* record,
                                const absl::Status& cause) {
  bool leads = false;
  const mvccpb::KeyValue* commit = nullptr;
  for (const mvccpb::KeyValue& pair : found.kvs()) {
    if (pair.key() == keys_.Leader()) leads = pair.create_revision() == leader_revision_;
    if (pair.key() == keys_.Commit()) commit = &pair;
  }
  const int64_t revision = commit == nullptr ? 0 : commit->mod_revision();
  if (revision == head_.commit_revision)
    return leads ? cause : LoseTo("another controller leads, or did; nothing was written");
  EtcdCommit now;
  if (commit == nullptr || !now.ParseFromString(commit->value()))
    return LoseTo(absl::StrCat(keys_.Commit(), " was deleted or changed by another program"));
  if (record != nullptr && IsSame(now, *record)) {
    head_.commit = now;
    head_.commit_revision = revision;
    return absl::OkStatus();
  }
  EtcdCommit fence = head_.commit;
  fence.set_fences(fence.fences() + 1);
  if (IsSame(now, fence)) {
    // An earlier try to shut the late one out has.
    head_.commit = now;
    head_.commit_revision = revision;
    return cause;
  }
  if (now.epoch() == epoch_)
    return LoseTo(absl::StrCat(keys_.Commit(), " was changed by another program"));
  return LoseTo(absl::StrCat("another controller leads with epoch ", now.epoch(),
                             "; whether commit ", head_.commit.number() + 1,
                             " of this epoch was written before is not known"));
}

absl::Status EtcdStore::Settle(const EtcdCommit* record, const absl::Status& cause) {
  EtcdCommit fence = head_.commit;
  fence.set_fences(fence.fences() + 1);
  const Clock::time_point patience = Clock::now() + kFullPatience;
  while (lease_->IsHeld()) {
    TxnRequest txn = Guarded();
    AddCommit(txn, fence);
    TxnResponse answer;
    absl::Status status = client_->Txn(txn, answer, EtcdClient::kTryTimeout);
    if (status.ok() && answer.succeeded()) {
      head_.commit = fence;
      head_.commit_revision = answer.header().revision();
      return cause;
    }
    if (status.ok()) return Refused(FoundBy(answer), record, cause);
    if (!EtcdClient::MayBeDone(status)) return LoseTo(std::string(status.message()));
    if (EtcdClient::IsFull(status)) {
      const bool is_answered = EtcdClient::IsFull(cause);
      // etcd has answered both, so that neither is under way: what stands there is final.
      etcdserverpb::RangeResponse found;
      if (is_answered &&
          client_->Range(LeaderAndCommit(), found, Clock::now() + EtcdClient::kTryTimeout).ok()) {
        return Refused(found, record, cause);
      }
      if (!is_answered && Clock::now() > patience) break;
    }
    std::this_thread::sleep_for(kSettlePause);
  }
  return LoseTo(absl::StrCat("the lease is lost; whether commit ", head_.commit.number() + 1,
                             " was written is not known (", std::string(cause.message()), ")"));
}

absl::Status EtcdStore::Decide(const TxnRequest& txn, const EtcdCommit& record) {
  TxnResponse answer;
  const absl::Status status = client_->Txn(txn, answer, options_.write_timeout);
  if (status.ok() && answer.succeeded()) {
    head_.commit = record;
    head_.commit_revision = answer.header().revision();
    return absl::OkStatus();
  }
  if (status.ok()) return Refused(FoundBy(answer), &record, Internal("etcd: a commit was refused"));
  return EtcdClient::MayBeDone(status) ? Settle(&record, status) : status;
}

absl::Status EtcdStore::Ensure(const TxnRequest& ops) {
  bool is_settled = true;
  while (true) {
    if (absl::Status status = CheckLeads(epoch_); !status.ok()) return status;
    TxnRequest txn = Guarded();
    *txn.mutable_success() = ops.success();
    TxnResponse answer;
    absl::Status status = client_->Txn(txn, answer, options_.write_timeout);
    if (status.ok() && !answer.succeeded())
      return Refused(FoundBy(answer), nullptr, Internal("etcd: a transaction was refused"));
    if (status.ok()) break;
    if (!EtcdClient::MayBeDone(status)) return status;
    is_settled = false;
    if (IsPassing(status)) {
      std::this_thread::sleep_for(kSettlePause);
      continue;
    }
    return Settle(nullptr, status);
  }
  return is_settled ? absl::OkStatus() : Settle(nullptr, absl::OkStatus());
}

absl::Status EtcdStore::RemoveStaged() {
  TxnRequest ops;
  auto& range = *ops.add_success()->mutable_request_delete_range();
  range.set_key(keys_.Staged());
  range.set_range_end(EndOfPrefix(keys_.Staged()));
  const absl::Status status = Ensure(ops);
  if (status.ok()) has_staged_ = false;
  return status;
}

absl::Status EtcdStore::FinishStaged() {
  if (unwritten_.empty()) return absl::OkStatus();
  for (const store::v1::EtcdStagedEdits& part : unwritten_) {
    TxnRequest ops;
    AddEdits(ops, part, head_.commit.number());
    if (absl::Status status = Ensure(ops); !status.ok()) return status;
    At(Step::kPartWritten);
  }
  At(Step::kWritten);
  if (absl::Status status = RemoveStaged(); !status.ok()) return status;
  unwritten_.clear();
  return absl::OkStatus();
}

absl::Status EtcdStore::Stage(const Parts& parts, int64_t number) {
  if (has_staged_) {
    if (absl::Status status = RemoveStaged(); !status.ok()) return status;
  }
  has_staged_ = true;
  for (size_t i = 0; i < parts.size(); ++i) {
    TxnRequest ops;
    auto& put = *ops.add_success()->mutable_request_put();
    put.set_key(keys_.StagedPart(number, static_cast<int>(i)));
    parts[i].SerializeToString(put.mutable_value());
    if (absl::Status status = Ensure(ops); !status.ok()) return status;
  }
  At(Step::kStaged);
  return absl::OkStatus();
}

absl::StatusOr<int64_t> EtcdStore::Commit(const core::Changes& changes, int64_t epoch) {
  if (absl::Status status = CheckLeads(epoch); !status.ok()) return status;
  auto parts = PlanParts(changes, *sealer_);
  if (!parts.ok()) return parts.status();
  // Of the commit before, if etcd did not answer then.
  if (absl::Status status = FinishStaged(); !status.ok()) return NotOfCaller(status);
  const bool is_large = parts->size() > 1;
  EtcdCommit next;
  next.set_epoch(epoch);
  next.set_number(head_.commit.number() + 1);
  next.set_lease(lease_->id());
  next.set_staged(is_large ? static_cast<int>(parts->size()) : 0);
  if (is_large) {
    if (absl::Status status = Stage(*parts, next.number()); !status.ok())
      return NotOfCaller(status);
  }
  absl::Status status;
  for (int tries = 0; tries == 0 || (IsPassing(status) && tries < kMaxTries); ++tries) {
    TxnRequest txn = Guarded();
    if (!is_large) AddEdits(txn, parts->front(), next.number());
    AddCommit(txn, next);
    status = Decide(txn, next);
  }
  if (!status.ok()) return NotOfCaller(status);
  if (is_large) {
    At(Step::kDecided);
    // It is committed, whatever comes now; what is not done here the next commit does, or the next
    // leader.
    unwritten_ = *std::move(parts);
    if (absl::Status finished = FinishStaged(); !finished.ok())
      spdlog::warn("{}: commit {} is staged for now", std::string(finished.message()),
                   next.number());
  }
  At(Step::kCommitted);
  return next.number();
}

}  // namespace remuda
