#include "controller/store/etcd_store.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "common/random_bytes.h"
#include "common/status.h"
#include "controller/core/model/time.h"
#include "controller/store/etcd_follow.h"
#include "controller/store/store_uuid.h"

namespace remuda {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

constexpr size_t kSecretBytes = 32;

// A campaign looks by itself whether there is a leader so often: a member that no longer answers
// does not tell.
constexpr EtcdClient::Duration kLeaderLookPeriod{1000};
constexpr EtcdClient::Duration kCampaignPause{100};
constexpr EtcdClient::Duration kCallTimeout{5'000};

Compare CompareCreated(const std::string& key, int64_t revision) {
  Compare compare;
  compare.set_key(key);
  compare.set_target(Compare::CREATE);
  compare.set_create_revision(revision);
  return compare;
}

void AddPut(TxnRequest& txn, const std::string& key, const std::string& value, int64_t lease = 0) {
  auto& put = *txn.add_success()->mutable_request_put();
  put.set_key(key);
  put.set_value(value);
  put.set_lease(lease);
}

}  // namespace

absl::StatusOr<std::unique_ptr<EtcdStore>> EtcdStore::Open(Options options) {
  std::unique_ptr<EtcdStore> store(new EtcdStore(std::move(options)));
  auto client = EtcdClient::Make(store->options_.address);
  if (!client.ok()) return client.status();
  store->client_ = *std::move(client);
  if (absl::Status status = store->CheckStore(); !status.ok()) return status;
  return store;
}

EtcdStore::~EtcdStore() {
  compactor_.reset();
  const std::lock_guard lock(lease_mutex_);
  lease_.reset();
}

absl::StatusOr<std::optional<mvccpb::KeyValue>> EtcdStore::Get(const std::string& key,
                                                               int64_t* revision) {
  etcdserverpb::RangeRequest request;
  request.set_key(key);
  etcdserverpb::RangeResponse response;
  const absl::Status status = client_->Range(request, response, Clock::now() + kCallTimeout);
  if (!status.ok()) return status;
  if (revision != nullptr) *revision = response.header().revision();
  if (response.kvs().empty()) return std::optional<mvccpb::KeyValue>();
  return std::optional<mvccpb::KeyValue>(response.kvs(0));
}

absl::Status EtcdStore::WithEtcd(const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("etcd: ", std::string(status.message())));
}

absl::Status EtcdStore::HalfFilled(const std::string& why) const {
  return FailedPrecondition(
      "HALF_FILLED",
      absl::StrCat("etcd: ", keys_.prefix(), " is half filled: ", why, " (", keys_.Filling(),
                   "), or that is under way; if it was cut off, begin anew: etcdctl del --prefix ",
                   keys_.prefix(), ", then the same command again"));
}

absl::Status EtcdStore::CheckCluster(const std::string& found) const {
  const std::string& known = options_.known_cluster;
  if (known.empty() || found == known) return absl::OkStatus();
  const std::string is_of = ", and this controller's data directory is of cluster " + known;
  return FailedPrecondition(
      "OTHER_CLUSTER",
      found.empty()
          ? absl::StrCat("etcd: ", keys_.prefix(), " holds no cluster", is_of,
                         ": if etcd's data were lost, restore a backup or a snapshot; if the state "
                         "is in another store still, migrate it; for a new cluster give an empty "
                         "--data-dir")
          : absl::StrCat("etcd: ", keys_.prefix(), " is the store of cluster ", found, is_of,
                         ": give the --store of that one, or an empty --data-dir"));
}

absl::Status EtcdStore::CheckStore() {
  std::optional<int> schema;
  std::string cluster;
  std::string check;
  std::optional<std::string> filling;
  int64_t revision = 0;
  const auto take = [&](const mvccpb::KeyValue& pair) {
    int number = 0;
    if (pair.key() == keys_.Schema()) {
      if (!absl::SimpleAtoi(pair.value(), &number)) return Unreadable(pair.key());
      schema = number;
    }
    if (pair.key() == keys_.SealingCheck()) check = pair.value();
    if (pair.key() == keys_.Filling()) filling = pair.value();
    if (pair.key() == keys_.Cluster()) cluster = pair.value();
    return absl::OkStatus();
  };
  absl::Status status =
      ReadPages(*client_, keys_.Meta(), EndOfPrefix(keys_.Meta()), revision, take);
  if (!status.ok()) return status;
  if (filling.has_value()) return HalfFilled(*filling);
  if (schema.has_value() && *schema != kSchemaVersion) {
    return FailedPrecondition(
        "SCHEMA_TOO_NEW",
        absl::StrCat("etcd: ", keys_.Schema(), " is ", *schema, ", this controller knows ",
                     kSchemaVersion, ": start the newer controller that wrote it"));
  }
  if (status = CheckCluster(cluster); !status.ok()) return status;
  if (status = TakeSealingKeys(!check.empty()); !status.ok() || check.empty()) return status;
  const auto opened = sealer_->Open(kCheckPlace, check);
  return opened.ok() ? absl::OkStatus() : WithEtcd(opened.status());
}

absl::Status EtcdStore::TakeSealingKeys(bool is_sealed) {
  absl::StatusOr<SealingKeys> read = ReadSealingKeys(options_.sealing_key_file);
  if (absl::IsNotFound(read.status())) {
    if (is_sealed) {
      return FailedPrecondition(
          "SEALING_KEY", absl::StrCat("sealing key file ", options_.sealing_key_file,
                                      ": there is no such file, and the store in etcd is sealed: "
                                      "copy it from another controller of this cluster"));
    }
    read = MakeSealingKeys(options_.sealing_key_file);
    if (read.ok()) {
      spdlog::info("made the sealing key {}; the other controllers of this cluster need the same",
                   options_.sealing_key_file);
    }
  }
  if (!read.ok()) return read.status();
  sealing_keys_ = *std::move(read);
  sealer_ = std::make_unique<Sealer>(sealing_keys_);
  return absl::OkStatus();
}

// Leadership.

void EtcdStore::StopCampaign() {
  is_stopped_ = true;
  const std::lock_guard lock(watch_mutex_);
  if (watch_ != nullptr) watch_->TryCancel();
}

std::optional<std::chrono::steady_clock::time_point> EtcdStore::lease_deadline() const {
  const std::lock_guard lock(lease_mutex_);
  return lease_ != nullptr && lease_->IsHeld() ? lease_->deadline() : Clock::time_point();
}

std::string EtcdStore::LeaderRecord() const {
  store::v1::EtcdController record = options_.self;
  record.clear_commit();
  record.clear_error();
  *record.mutable_lead_time() = core::ToProto(absl::Now());
  return record.SerializeAsString();
}

absl::StatusOr<Leadership> EtcdStore::TryToLead() {
  const auto on_lost = [this](const absl::Status& why) {
    if (is_leading_ && options_.on_lost) options_.on_lost(why);
  };
  auto lease =
      EtcdLease::Grant(*client_, options_.time_to_live, on_lost, Clock::now() + kCallTimeout);
  if (!lease.ok()) return lease.status();
  TxnRequest txn;
  *txn.add_compare() = CompareCreated(keys_.Leader(), 0);
  AddPut(txn, keys_.Leader(), LeaderRecord(), (*lease)->id());
  TxnResponse answer;
  absl::Status status = client_->Txn(txn, answer, options_.write_timeout);
  if (!status.ok() && !EtcdClient::MayBeDone(status)) return status;
  // Done or not: the key itself says whose it is. What comes late finds no lease.
  const auto leader = Get(keys_.Leader(), nullptr);
  if (!leader.ok()) return leader.status();
  if (!leader->has_value() || (*leader)->lease() != (*lease)->id()) {
    return status.ok() ? Aborted("another controller was faster") : status;
  }
  leader_revision_ = (*leader)->create_revision();
  {
    const std::lock_guard lock(lease_mutex_);
    lease_ = *std::move(lease);
  }
  return TakeOver();
}

void EtcdStore::AwaitLeadersEnd(int64_t revision) {
  etcdserverpb::WatchCreateRequest request;
  request.set_key(keys_.Leader());
  request.set_start_revision(revision + 1);
  const auto open = [this](grpc::ClientContext* context) {
    const std::lock_guard lock(watch_mutex_);
    watch_ = context;
    if (context != nullptr && is_stopped_) context->TryCancel();
  };
  const auto end = Clock::now() + kLeaderLookPeriod;
  const absl::Status status = client_->Watch(
      request, kLeaderLookPeriod, open, [](const etcdserverpb::WatchResponse& response) {
        for (const mvccpb::Event& event : response.events()) {
          if (event.type() == mvccpb::Event::DELETE) return absl::AbortedError("it has ended");
        }
        return absl::OkStatus();
      });
  // Neither told nor silent for long: the member refuses, and is not asked at once again.
  if (!absl::IsAborted(status) && Clock::now() < end && !IsStopped())
    std::this_thread::sleep_for(kCampaignPause);
}

absl::StatusOr<Leadership> EtcdStore::Campaign() {
  is_leading_ = false;
  compactor_.reset();
  {
    const std::lock_guard lock(lease_mutex_);
    lease_.reset();
  }
  bool is_waiting = false;
  while (!IsStopped()) {
    int64_t revision = 0;
    const auto leader = Get(keys_.Leader(), &revision);
    if (leader.ok() && leader->has_value()) {
      if (!std::exchange(is_waiting, true))
        spdlog::info("another controller leads: waiting until it does not ({})", keys_.Leader());
      AwaitLeadersEnd(revision);
      continue;
    }
    absl::StatusOr<Leadership> won = leader.ok() ? TryToLead() : leader.status();
    if (won.ok()) {
      is_leading_ = true;
      // From now on who leads is told that it is lost. If it was before, nobody was.
      if (lease_->IsHeld()) return won;
      is_leading_ = false;
      won = Unavailable("etcd: the lease was lost while this controller took over");
      compactor_.reset();
      const std::lock_guard lock(lease_mutex_);
      lease_.reset();
    }
    // Somebody else was faster (ABORTED), or etcd does not answer just now.
    if (!EtcdClient::IsOfMember(won.status().code())) return won;
    if (!absl::IsAborted(won.status()))
      spdlog::warn("campaign: {}; it is tried again", std::string(won.status().message()));
    std::this_thread::sleep_for(kCampaignPause);
  }
  return absl::CancelledError("the campaign was stopped");
}

absl::StatusOr<Leadership> EtcdStore::TakeOver() {
  Leadership won;
  absl::Status status = ReadMeta(won);
  if (status.ok()) {
    auto head = ReadHead(*client_, keys_);
    status = head.status();
    if (head.ok()) head_ = *std::move(head);
  }
  if (status.ok()) status = TakeUpStaged();
  if (status.ok()) status = SealUnderNewKey();
  if (!status.ok()) {
    const std::lock_guard lock(lease_mutex_);
    lease_.reset();
    return status;
  }
  won.epoch = epoch_;
  won.commit = head_.commit.number();
  if (options_.history.count() > 0)
    compactor_ = std::make_unique<EtcdCompactor>(*client_, keys_.Commit(), options_.history);
  return won;
}

absl::Status EtcdStore::ReadMeta(Leadership& won) {
  std::string secret;
  int64_t base = 0;
  for (int attempt = 0; attempt < 2 && won.cluster_id.empty(); ++attempt) {
    // A new store. Whether it worked is seen when it is read again.
    absl::Status made = attempt == 0 ? absl::OkStatus() : MakeMeta();
    int64_t revision = 0;
    const absl::Status status =
        ReadPages(*client_, keys_.Meta(), EndOfPrefix(keys_.Meta()), revision,
                  [&](const mvccpb::KeyValue& pair) {
                    if (pair.key() == keys_.Cluster()) won.cluster_id = pair.value();
                    if (pair.key() == keys_.Secret()) secret = pair.value();
                    if (pair.key() == keys_.Filling()) return HalfFilled(pair.value());
                    if (pair.key() == keys_.EpochBase() && !absl::SimpleAtoi(pair.value(), &base))
                      return Unreadable(pair.key());
                    return absl::OkStatus();
                  });
    if (!status.ok()) return status;
    if (!made.ok() && won.cluster_id.empty()) return made;
    if (absl::Status known = CheckCluster(won.cluster_id); !known.ok()) return known;
  }
  auto opened = sealer_->Open(kSecretPlace, secret);
  if (!opened.ok()) return WithEtcd(opened.status());
  won.secret = *std::move(opened);
  epoch_ = base + leader_revision_;
  return absl::OkStatus();
}

absl::Status EtcdStore::MakeMeta() {
  TxnRequest txn;
  *txn.add_compare() = CompareCreated(keys_.Leader(), leader_revision_);
  *txn.add_compare() = CompareCreated(keys_.Cluster(), 0);
  AddPut(txn, keys_.Cluster(), MakeUuid());
  AddPut(txn, keys_.Secret(), sealer_->Seal(kSecretPlace, RandomBytes(kSecretBytes)));
  AddPut(txn, keys_.Schema(), std::to_string(kSchemaVersion));
  AddPut(txn, keys_.SealingCheck(), sealer_->Seal(kCheckPlace, kCheckText));
  TxnResponse answer;
  return client_->Txn(txn, answer, options_.write_timeout);
}

absl::Status EtcdStore::TakeUpStaged() {
  unwritten_.clear();
  has_staged_ = !head_.staged.empty();
  if (const EtcdParts* pending = head_.pending(); pending != nullptr) {
    // They are removed together: there are all of them.
    if (static_cast<int>(pending->size()) != head_.commit.staged())
      return Unreadable(keys_.StagedOf(head_.commit.number()));
    for (const auto& [number, part] : *pending) unwritten_.push_back(part);
  }
  head_.staged.clear();
  if (absl::Status status = FinishStaged(); !status.ok()) return status;
  return has_staged_ ? RemoveStaged() : absl::OkStatus();
}

absl::Status EtcdStore::Load(const RowFn& row) {
  const auto head = ReadHead(*client_, keys_);
  if (!head.ok()) return head.status();
  return ReadRows(*client_, keys_, *head, *sealer_, row);
}

absl::StatusOr<std::unique_ptr<Following>> EtcdStore::Follow(FollowFns fns) {
  return std::unique_ptr<Following>(
      std::make_unique<EtcdFollowing>(*client_, keys_, sealing_keys_, std::move(fns)));
}

}  // namespace remuda
