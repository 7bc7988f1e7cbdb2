// All that the store in etcd holds, taken out and put in. What is put is there for readers with the
// last transaction; until then PREFIX/meta/filling says that the store is half filled, and every
// controller refuses it.
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "common/status.h"
#include "controller/store/etcd_plan.h"
#include "controller/store/etcd_store.h"
#include "controller/store/sealed_kinds.h"

namespace remuda {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

constexpr EtcdClient::Duration kContentCallTimeout{5'000};
constexpr EtcdClient::Duration kFillPause{20};
// What a row costs beside its key and value: the key's prefix, lengths.
constexpr size_t kRowOverheadBytes = 256;

void ExpectCreated(TxnRequest& txn, const std::string& key, int64_t revision) {
  Compare& compare = *txn.add_compare();
  compare.set_key(key);
  compare.set_target(Compare::CREATE);
  compare.set_create_revision(revision);
}

void PutTo(TxnRequest& txn, const std::string& key, const std::string& value, int64_t lease = 0) {
  auto& put = *txn.add_success()->mutable_request_put();
  put.set_key(key);
  put.set_value(value);
  put.set_lease(lease);
}

void DeleteFrom(TxnRequest& txn, const std::string& key, const std::string& end = "") {
  auto& range = *txn.add_success()->mutable_request_delete_range();
  range.set_key(key);
  range.set_range_end(end);
}

absl::Status InUse(const mvccpb::KeyValue& pair, const std::string& does) {
  store::v1::EtcdController record;
  if (!record.ParseFromString(pair.value())) record.Clear();
  return FailedPrecondition(
      "STORE_IN_USE",
      absl::StrCat("etcd: controller \"", record.name(), "\" (", record.address(), ") ", does,
                   ", as ", pair.key(),
                   " says: end all controllers of this cluster first, and wait for the lease of "
                   "one that died"));
}

}  // namespace

absl::StatusOr<StoreHead> EtcdStore::ReadStoreHead(int64_t& revision) {
  StoreHead head;
  int64_t base = 0;
  int64_t led = 0;
  store::v1::EtcdCommit commit;
  std::string secret;
  const auto take = [&](const mvccpb::KeyValue& pair) -> absl::Status {
    const std::string& key = pair.key();
    if (key == keys_.Leader()) led = pair.create_revision();
    if (key == keys_.Cluster()) head.cluster_id = pair.value();
    if (key == keys_.Secret()) secret = pair.value();
    if (key == keys_.EpochBase() && !absl::SimpleAtoi(pair.value(), &base)) return Unreadable(key);
    if (key == keys_.Commit() && !commit.ParseFromString(pair.value())) return Unreadable(key);
    if (!key.starts_with(keys_.Shared())) return absl::OkStatus();
    const std::string name = key.substr(keys_.Shared().size());
    auto opened = sealer_->Open(PlaceOfShared(name), pair.value());
    if (!opened.ok()) return WithEtcd(opened.status());
    head.shared[name] = *std::move(opened);
    return absl::OkStatus();
  };
  for (const auto& [begin, end] : {std::pair(keys_.Commit(), EndOfPrefix(keys_.Meta())),
                                   std::pair(keys_.Shared(), EndOfPrefix(keys_.Shared()))}) {
    if (absl::Status status = ReadPages(*client_, begin, end, revision, take); !status.ok())
      return status;
  }
  if (head.cluster_id.empty()) return head;
  auto opened = sealer_->Open(kSecretPlace, secret);
  if (!opened.ok()) return WithEtcd(opened.status());
  head.secret = *std::move(opened);
  head.commit = commit.number();
  head.epoch = std::max(commit.epoch(), led == 0 ? base : base + led);
  return head;
}

absl::Status EtcdStore::ReadAll(const BeginFn& begin, const RowFn& row) {
  auto rows = ReadHead(*client_, keys_);
  if (!rows.ok()) return rows.status();
  const auto head = ReadStoreHead(rows->revision);
  if (!head.ok()) return head.status();
  if (absl::Status status = begin(*head); !status.ok()) return status;
  return ReadRows(*client_, keys_, *rows, *sealer_, row);
}

class EtcdStore::Filling final : public StoreFilling {
 public:
  Filling(EtcdStore& store, StoreHead head) : store_(store), head_(std::move(head)) {}

  ~Filling() override {
    if (!is_done_ && store_.lease_->IsHeld()) {
      TxnRequest txn;
      ExpectCreated(txn, store_.keys_.Leader(), store_.leader_revision_);
      DeleteFrom(txn, store_.keys_.Rows(), EndOfPrefix(store_.keys_.Rows()));
      DeleteFrom(txn, store_.keys_.Filling());
      TxnResponse answer;
      store_.client_->Txn(txn, answer, kContentCallTimeout).IgnoreError();
    }
    const std::lock_guard lock(store_.lease_mutex_);
    store_.lease_.reset();
  }

  absl::Status Row(core::Kind kind, std::string_view key, std::string_view value,
                   int64_t commit) override {
    tally_.Add(kind, key, value, commit);
    const std::string place = PlaceOfRow(kind, key);
    store::v1::EtcdRow row;
    row.set_commit(commit);
    row.set_value(IsSealedKind(kind) ? store_.sealer_->Seal(place, value) : std::string(value));
    const size_t cost = key.size() + row.value().size() + kRowOverheadBytes;
    if (cost > etcd_limits::kMaxRowBytes) {
      return LimitExceeded("kMaxRowBytes", absl::StrCat("etcd: ", place, " has ", cost,
                                                        " bytes, a row in etcd has at most ",
                                                        etcd_limits::kMaxRowBytes));
    }
    const bool is_full = batch_.success_size() >= etcd_limits::kMaxEditsPerPart ||
                         batch_bytes_ + cost > etcd_limits::kMaxBytesPerPart;
    if (is_full && batch_.success_size() > 0) {
      if (absl::Status status = Flush(); !status.ok()) return status;
    }
    batch_bytes_ += cost;
    PutTo(batch_, store_.keys_.Row(kind, key), row.SerializeAsString());
    return absl::OkStatus();
  }

  void SetShared(std::map<std::string, std::string> shared) override {
    head_.shared = std::move(shared);
  }

  absl::StatusOr<RowTally::Result> Finish() override {
    if (absl::Status status = Flush(); !status.ok()) return status;
    RowTally read;
    auto there = ReadHead(*store_.client_, store_.keys_);
    absl::Status status = there.status();
    if (status.ok()) {
      status = ReadRows(
          *store_.client_, store_.keys_, *there, *store_.sealer_,
          [&read](core::Kind kind, std::string_view key, std::string_view value, int64_t commit) {
            read.Add(kind, key, value, commit);
            return absl::OkStatus();
          });
    }
    if (!status.ok()) return status;
    const RowTally::Result put = tally_.Take();
    if (const std::string difference = DifferenceOf(put, read.Take()); !difference.empty())
      return absl::DataLossError(absl::StrCat("etcd: ", difference));
    store_.At(Step::kFilled);
    if (status = Write(Last()); !status.ok()) return status;
    is_done_ = true;
    return put;
  }

 private:
  // What has it be the store.
  TxnRequest Last() const {
    const EtcdKeys& keys = store_.keys_;
    Sealer& sealer = *store_.sealer_;
    TxnRequest txn;
    if (head_.commit > 0) {
      store::v1::EtcdCommit commit;
      commit.set_epoch(head_.epoch);
      commit.set_number(head_.commit);
      PutTo(txn, keys.Commit(), commit.SerializeAsString());
    }
    for (const auto& [key, value] : head_.shared)
      PutTo(txn, keys.SharedOf(key), sealer.Seal(PlaceOfShared(key), value));
    PutTo(txn, keys.EpochBase(), std::to_string(head_.epoch));
    PutTo(txn, keys.Secret(), sealer.Seal(kSecretPlace, head_.secret));
    PutTo(txn, keys.Schema(), std::to_string(kSchemaVersion));
    PutTo(txn, keys.SealingCheck(), sealer.Seal(kCheckPlace, kCheckText));
    PutTo(txn, keys.Cluster(), head_.cluster_id);
    DeleteFrom(txn, keys.Filling());
    return txn;
  }

  absl::Status Flush() {
    if (batch_.success_size() == 0) return absl::OkStatus();
    absl::Status status = Write(std::exchange(batch_, {}));
    batch_bytes_ = 0;
    store_.At(Step::kPartWritten);
    return status;
  }

  // Until it is done: what is written twice is the same, and nobody else writes while we lead.
  absl::Status Write(TxnRequest txn) {
    ExpectCreated(txn, store_.keys_.Leader(), store_.leader_revision_);
    while (true) {
      if (!store_.lease_->IsHeld())
        return Unavailable("etcd: the lease is lost: it has not answered for too long");
      TxnResponse answer;
      const absl::Status status = store_.client_->Txn(txn, answer, store_.options_.write_timeout);
      if (status.ok() && answer.succeeded()) return status;
      if (status.ok()) return Unavailable("etcd: another controller leads, or did");
      if (!EtcdClient::MayBeDone(status) || EtcdClient::IsFull(status)) return status;
      std::this_thread::sleep_for(kFillPause);
    }
  }

  EtcdStore& store_;
  StoreHead head_;
  RowTally tally_;
  TxnRequest batch_;
  size_t batch_bytes_ = 0;
  bool is_done_ = false;
};

absl::Status EtcdStore::CheckFillable() {
  etcdserverpb::RangeRequest request;
  request.set_key(keys_.prefix());
  request.set_range_end(EndOfPrefix(keys_.prefix()));
  request.set_keys_only(true);
  request.set_limit(1);
  etcdserverpb::RangeResponse response;
  const absl::Status status = client_->Range(request, response, Clock::now() + kContentCallTimeout);
  if (!status.ok() || response.kvs().empty()) return status;
  const auto cluster = ClusterId();
  if (!cluster.ok()) return cluster.status();
  const std::string& key = response.kvs(0).key();
  std::string what = absl::StrCat(response.count(), " keys, the first is ", key);
  if (key.starts_with(keys_.Controllers()))
    what = absl::StrCat("controllers run on it (", key, "): end them first");
  if (cluster->has_value()) what = absl::StrCat("it holds cluster ", **cluster);
  return FailedPrecondition(
      "NOT_EMPTY", absl::StrCat("etcd: ", keys_.prefix(), " is not empty: ", what,
                                "; name another prefix, or, if nobody needs what is there: etcdctl "
                                "del --prefix ",
                                keys_.prefix()));
}

absl::StatusOr<std::unique_ptr<StoreFilling>> EtcdStore::Fill(const StoreHead& head,
                                                              const std::string& why) {
  if (absl::Status status = CheckFillable(); !status.ok()) return status;
  auto lease = EtcdLease::Grant(*client_, options_.time_to_live, options_.on_lost,
                                Clock::now() + kContentCallTimeout);
  if (!lease.ok()) return lease.status();
  TxnRequest txn;
  for (const std::string& key : {keys_.Leader(), keys_.Cluster(), keys_.Filling()})
    ExpectCreated(txn, key, 0);
  PutTo(txn, keys_.Leader(), LeaderRecord(), (*lease)->id());
  PutTo(txn, keys_.Filling(), absl::StrCat(why, ", begun ", absl::FormatTime(absl::Now())));
  TxnResponse answer;
  const absl::Status status = client_->Txn(txn, answer, options_.write_timeout);
  if (!status.ok() && !EtcdClient::MayBeDone(status)) return status;
  const auto leader = Get(keys_.Leader(), nullptr);
  if (!leader.ok()) return leader.status();
  if (!leader->has_value() || (*leader)->lease() != (*lease)->id()) {
    if (!status.ok()) return status;
    return FailedPrecondition("NOT_EMPTY", absl::StrCat("etcd: somebody else has begun to use ",
                                                        keys_.prefix(), " just now"));
  }
  leader_revision_ = (*leader)->create_revision();
  {
    const std::lock_guard lock(lease_mutex_);
    lease_ = *std::move(lease);
  }
  return std::unique_ptr<StoreFilling>(std::make_unique<Filling>(*this, head));
}

absl::StatusOr<Leadership> EtcdStore::CampaignAtOnce() {
  const auto cluster = ClusterId();
  if (!cluster.ok()) return cluster.status();
  if (!cluster->has_value()) {
    return FailedPrecondition("EMPTY",
                              absl::StrCat("etcd: there is no cluster below ", keys_.prefix()));
  }
  const auto leader = Get(keys_.Leader(), nullptr);
  if (!leader.ok()) return leader.status();
  if (leader->has_value()) return InUse(**leader, "leads");
  // One that stands by would lead as soon as this is over.
  etcdserverpb::RangeRequest request;
  request.set_key(keys_.Controllers());
  request.set_range_end(EndOfPrefix(keys_.Controllers()));
  request.set_limit(1);
  etcdserverpb::RangeResponse response;
  const absl::Status status = client_->Range(request, response, Clock::now() + kContentCallTimeout);
  if (!status.ok()) return status;
  if (!response.kvs().empty()) return InUse(response.kvs(0), "runs");
  auto won = TryToLead();
  if (!absl::IsAborted(won.status())) return won;
  return FailedPrecondition("STORE_IN_USE",
                            "etcd: a controller has begun to lead just now: end all controllers of "
                            "this cluster first");
}

}  // namespace remuda
