// EtcdStore: the store that several controllers share: etcd, over its v3 API (docs/adr/0016-etcd.md
// has its keys, and why what is written cannot be undone or done twice).
//
// Owns: leadership, commits, what is staged of a large one. Does not own: connections
// (etcd_client.h), the lease (etcd_lease.h), how rows are read (etcd_snapshot.h) and followed
// (etcd_follow.h). Thread: as Store says.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "controller/store/etcd_client.h"
#include "controller/store/etcd_compactor.h"
#include "controller/store/etcd_keys.h"
#include "controller/store/etcd_lease.h"
#include "controller/store/etcd_snapshot.h"
#include "controller/store/sealer.h"
#include "controller/store/store.h"
#include "controller/store/store_content.h"

namespace remuda {

class EtcdStore final : public Store, public StoreContent {
 public:
  static constexpr int kSchemaVersion = 1;

  // Places between two requests; tests end the process there.
  enum class Step { kStaged, kDecided, kPartWritten, kWritten, kCommitted, kFilled };

  struct Options {
    EtcdAddress address;
    // See sealing_keys.h. Every controller of a cluster has the same. Made if it is missing and
    // nothing is sealed in etcd yet.
    std::string sealing_key_file;
    // The cluster that the controller is of already; empty: of none. The store of another one is
    // refused, and one that holds none is not made a new one: its data were lost, or it is the
    // wrong store.
    std::string known_cluster;
    // What PREFIX/leader says of who leads; lead_time is set when it does, and neither commit nor
    // error stands there.
    store::v1::EtcdController self;
    // After so long without a word from etcd leadership is lost. etcd has 2 s at least.
    std::chrono::seconds time_to_live{2};
    // One request of a commit; then what became of it is found out.
    EtcdClient::Duration write_timeout{2000};
    // etcd's history that followers may need; older one is forgotten while this store leads. 0: it
    // is left to etcd.
    EtcdClient::Duration history{600'000};
    // Leadership that Campaign has answered is lost. On a thread of the store's.
    std::function<void(const absl::Status& why)> on_lost;
    std::function<void(Step)> at_step;
  };

  // Asks etcd once, for up to kOpenTimeout. FAILED_PRECONDITION: the store has a newer schema, a
  // sealing key is missing, or it is not the store of the known cluster. UNAVAILABLE: etcd does not
  // answer.
  static constexpr EtcdClient::Duration kOpenTimeout{10'000};
  static absl::StatusOr<std::unique_ptr<EtcdStore>> Open(Options options);
  EtcdStore(const EtcdStore&) = delete;
  EtcdStore& operator=(const EtcdStore&) = delete;
  // Gives leadership up, so that another controller need not wait for the lease.
  ~EtcdStore() override;

  absl::StatusOr<Leadership> Campaign() override;
  void StopCampaign() override;
  std::optional<std::chrono::steady_clock::time_point> lease_deadline() const override;
  absl::Status Load(const RowFn& row) override;
  absl::StatusOr<int64_t> Commit(const core::Changes& changes, int64_t epoch) override;
  absl::StatusOr<std::unique_ptr<Following>> Follow(FollowFns fns) override;
  absl::StatusOr<std::optional<std::string>> ClusterId() override;
  absl::StatusOr<std::optional<std::string>> ReadShared(const std::string& key) override;
  absl::StatusOr<std::string> AgreeShared(const std::string& key,
                                          const std::string& value) override;

  // Of one revision, whoever leads and writes meanwhile.
  absl::Status ReadAll(const BeginFn& begin, const RowFn& row) override;
  // Leads while it is filled, so that nobody else does. An end in the midst of it leaves the store
  // half filled, which Open and Campaign refuse from then on.
  absl::StatusOr<std::unique_ptr<StoreFilling>> Fill(const StoreHead& head,
                                                     const std::string& why) override;
  // A campaign that waits for nobody and makes no cluster. FAILED_PRECONDITION with reason
  // STORE_IN_USE: another controller leads or stands by; EMPTY: nobody ever has.
  absl::StatusOr<Leadership> CampaignAtOnce();

 private:
  class Filling;
  using Clock = EtcdClient::Clock;
  using Parts = std::vector<store::v1::EtcdStagedEdits>;

  explicit EtcdStore(Options options)
      : options_(std::move(options)), keys_(options_.address.prefix) {}

  // Opening.
  absl::Status CheckStore();
  absl::Status TakeSealingKeys(bool is_sealed);

  // Places of what is sealed.
  static constexpr char kSecretPlace[] = "the cluster's secret";
  static constexpr char kCheckPlace[] = "the sealing check";
  static constexpr char kCheckText[] = "remuda";
  static std::string PlaceOfShared(const std::string& key) { return "shared value " + key; }
  // The same, naming etcd.
  static absl::Status WithEtcd(const absl::Status& status);
  absl::Status HalfFilled(const std::string& why) const;
  // FAILED_PRECONDITION with reason OTHER_CLUSTER: `found` (empty: none) is not the known one.
  absl::Status CheckCluster(const std::string& found) const;

  absl::Status CheckFillable();
  // All at `revision`; 0: at that of the first answer.
  absl::StatusOr<StoreHead> ReadStoreHead(int64_t& revision);

  // Campaigning.
  absl::StatusOr<std::optional<mvccpb::KeyValue>> Get(const std::string& key, int64_t* revision);
  // ABORTED: somebody else was faster.
  absl::StatusOr<Leadership> TryToLead();
  std::string LeaderRecord() const;
  // Until the leader of `revision` may be gone: told by etcd, or looked for again after a while.
  void AwaitLeadersEnd(int64_t revision);
  bool IsStopped() const { return is_stopped_; }
  // PREFIX/leader is ours: the rest.
  absl::StatusOr<Leadership> TakeOver();
  absl::Status ReadMeta(Leadership& won);
  absl::Status MakeMeta();
  // Finishes what an earlier leader has decided, and removes what it has not.
  absl::Status TakeUpStaged();
  // Where the first key is another than the last leader's: all that is sealed.
  absl::Status SealUnderNewKey();
  absl::StatusOr<int> ResealRows();
  absl::StatusOr<std::string> Reseal(const std::string& place, const std::string& sealed);

  // Committing. A guarded transaction is done only while this store leads and no commit has come
  // between; its failure reads PREFIX/leader and PREFIX/commit.
  etcdserverpb::TxnRequest Guarded() const;
  etcdserverpb::RangeRequest LeaderAndCommit() const;
  void AddEdits(etcdserverpb::TxnRequest& txn, const store::v1::EtcdStagedEdits& part,
                int64_t number) const;
  void AddCommit(etcdserverpb::TxnRequest& txn, const store::v1::EtcdCommit& record) const;
  absl::Status CheckLeads(int64_t epoch) const;
  // One transaction with `record` in it: done or not, never not known, while this store leads.
  absl::Status Decide(const etcdserverpb::TxnRequest& txn, const store::v1::EtcdCommit& record);
  // Finds out what became of a transaction that had `record` in it (null: none) and failed with
  // `cause`. When it answers `cause`, it was not done and never will be.
  absl::Status Settle(const store::v1::EtcdCommit* record, const absl::Status& cause);
  // What PREFIX/leader and PREFIX/commit say of a guarded transaction that is over: OK, `record` is
  // written; `cause`, it is not.
  absl::Status Refused(const etcdserverpb::RangeResponse& found,
                       const store::v1::EtcdCommit* record, const absl::Status& cause);
  // Of a transaction that may be done twice: until it is done. A late one of its tries is shut out.
  absl::Status Ensure(const etcdserverpb::TxnRequest& ops);
  absl::Status Stage(const Parts& parts, int64_t number);
  absl::Status RemoveStaged();
  // The rows of a staged commit that is decided.
  absl::Status FinishStaged();
  absl::Status LoseTo(const std::string& why);
  void At(Step step) const {
    if (options_.at_step) options_.at_step(step);
  }

  const Options options_;
  const EtcdKeys keys_;
  std::unique_ptr<EtcdClient> client_;
  SealingKeys sealing_keys_;        // constant after Open
  std::unique_ptr<Sealer> sealer_;  // of the store's thread
  std::atomic<bool> is_stopped_ = false;
  std::atomic<bool> is_leading_ = false;  // Campaign has answered so
  std::mutex watch_mutex_;
  grpc::ClientContext* watch_ = nullptr;  // of the campaign; guarded by watch_mutex_

  mutable std::mutex lease_mutex_;
  std::unique_ptr<EtcdLease> lease_;  // changed under lease_mutex_, by the store's thread
  std::unique_ptr<EtcdCompactor> compactor_;
  int64_t leader_revision_ = 0;  // create_revision of our PREFIX/leader
  int64_t epoch_ = 0;
  EtcdHead head_;            // commit and commit_revision: as this store has written or read them
  Parts unwritten_;          // of head_.commit: decided, and its rows may not be written yet
  bool has_staged_ = false;  // there may be staged records that no commit has
};

}  // namespace remuda
