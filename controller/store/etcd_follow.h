// EtcdFollowing: a copy of the store in etcd, kept current by watch, for controllers that do not
// lead.
//
// Owns: loading, watching, loading again where etcd has forgotten what was missed. CommitGatherer
// has what the events mean, without I/O. Thread: its own, which calls the functions.
#pragma once

#include <absl/status/statusor.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "controller/store/etcd_snapshot.h"

namespace remuda {

struct EtcdCommitAt {
  store::v1::EtcdCommit record;
  int64_t revision = 0;
};

// Whole commits out of the events of a watch. Thread: any one at a time.
class CommitGatherer {
 public:
  struct Commit {
    int64_t number = 0;
    std::vector<store::v1::EtcdEdit> edits;
  };

  // What stands at the revision from which on events are taken.
  CommitGatherer(const EtcdKeys& keys, const EtcdHead& head);

  // The commits that are complete with these events, in order. Events come in the order of their
  // revisions, those of one revision perhaps in several calls: `has_more` but with the last.
  // DATA_LOSS: they cannot be.
  absl::StatusOr<std::vector<Commit>> Take(
      const google::protobuf::RepeatedPtrField<mvccpb::Event>& events, bool has_more);

  // A new watch tells on from revision() + 1: what is there of a later one is told again.
  void Resume();

  int64_t number() const { return number_; }
  // Everything up to it is taken.
  int64_t revision() const { return revision_; }
  // PREFIX/commit as it stands at revision(), and the revision that wrote it; 0: there was none.
  const EtcdCommitAt& newest() const { return newest_; }

 private:
  // The events of one revision, which are all there.
  absl::Status EndRevision(std::vector<Commit>& out);
  absl::Status TakeOne(const mvccpb::Event& event);

  const EtcdKeys keys_;
  int64_t number_;
  int64_t revision_;
  EtcdCommitAt newest_;
  std::map<int64_t, EtcdParts> staged_;
  // Of the revision under way; 0: none.
  int64_t current_ = 0;
  std::optional<store::v1::EtcdCommit> written_;  // PREFIX/commit
  std::optional<store::v1::EtcdCommit> decided_;
  std::vector<store::v1::EtcdEdit> edits_;
};

class EtcdFollowing final : public Following {
 public:
  // `client` outlives it.
  EtcdFollowing(EtcdClient& client, EtcdKeys keys, const SealingKeys& sealing_keys,
                Store::FollowFns fns);
  EtcdFollowing(const EtcdFollowing&) = delete;
  EtcdFollowing& operator=(const EtcdFollowing&) = delete;
  ~EtcdFollowing() override;

 private:
  void Run();
  absl::StatusOr<CommitGatherer> LoadAll();
  // Whether etcd has at the gatherer's revision what the gatherer has taken. It has not where it
  // has forgotten that, or where its data were put back to what they once were: then the same
  // revisions and numbers come again, with another content.
  absl::StatusOr<bool> HasTaken(const CommitGatherer& gatherer);
  // OK: etcd has forgotten what was missed, or the gatherer's state is no good; all is loaded anew.
  absl::Status WatchOn(CommitGatherer& gatherer);
  absl::Status Tell(const CommitGatherer::Commit& commit);
  bool Pause();
  bool IsStopping() const { return is_stopping_; }

  EtcdClient& client_;
  const EtcdKeys keys_;
  Sealer sealer_;
  const Store::FollowFns fns_;
  std::atomic<bool> is_stopping_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  grpc::ClientContext* watch_ = nullptr;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace remuda
