// Standby: what a controller is that shares its store with others, until it leads: it registers,
// follows the store, passes on whom it is asked by, and campaigns.
//
// Owns: all of that; when it is over, what the leader goes on with is handed over. Thread: the main
// one.
#pragma once

#include <absl/status/statusor.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "common/admin_http.h"
#include "common/service_manager.h"
#include "controller/ending.h"
#include "controller/engine/failpoints.h"
#include "controller/engine/metrics.h"
#include "controller/engine/readiness.h"
#include "controller/identity/audit_log.h"
#include "controller/images/image_replicator.h"
#include "controller/options.h"
#include "controller/standby/standby_server.h"
#include "controller/standby/warm_copy.h"
#include "controller/store/etcd_store.h"
#include "controller/store/roster.h"

namespace remuda {

// Who is told of changes of the roster: first a standby, then the leader that it becomes. Thread:
// any.
class RosterFeed {
 public:
  using Fn = std::function<void(const Roster::ViewPtr& view)>;
  // Instead of the one before, whose call under way is waited for. Called at once with the last
  // view, if there was one. Empty: nobody.
  void SetListener(Fn fn);
  void Tell(const Roster::ViewPtr& view);

 private:
  std::mutex mutex_;  // guards what follows, and calls
  Fn fn_;
  Roster::ViewPtr last_;
};

// What whoever leads begins with.
struct Won {
  std::unique_ptr<Store> store;
  Leadership leadership;
  core::State state;
  // Null: the store has one controller.
  std::shared_ptr<RosterFeed> feed;
  std::unique_ptr<Roster> roster;
  // Without a leader: to be destroyed, at leisure, before the blob thread stops. May be null.
  std::unique_ptr<ImageReplicator> images;
};

// HOST:PORT of each controller's API, the leader's first.
std::vector<std::string> AddressesOf(const Roster::View& view);

// All rows, as the store has them now.
absl::StatusOr<core::State> LoadState(Store& store, const Leadership& leadership);

class Standby {
 public:
  // How often it looks at what nobody tells it.
  static constexpr std::chrono::milliseconds kLookPeriod{200};
  // Where nobody leads it does not stand by before its campaign has had so long.
  static constexpr std::chrono::milliseconds kCampaignPatience{1000};
  // Between tries where the store does not answer.
  static constexpr std::chrono::milliseconds kStorePause{500};
  // How often what nothing names is collected of its images.
  static constexpr absl::Duration kCollectPeriod = absl::Minutes(10);
  // For its copy to have what was committed last; then all is loaded.
  static constexpr absl::Duration kCopyPatience = absl::Seconds(1);

  struct Parts {
    const ServiceManager& manager;
    Ending& ending;
    Metrics& metrics;
    Readiness& readiness;
    AuditLog& audit;
    Failpoints* failpoints;  // may be null
    size_t max_descriptors;
    // This controller's own images, kept like the leader's. Null: all share a directory.
    Blobs* blobs;
    TaskThread* blob_thread;  // of the blobs
  };
  // The ports of `options` become those that it really has.
  Standby(Options& options, Parts parts);
  ~Standby();
  Standby(const Standby&) = delete;
  Standby& operator=(const Standby&) = delete;

  // Until this controller leads. CANCELLED: the program is to end. Others: it cannot be one of the
  // cluster's controllers, and why. Once.
  absl::StatusOr<Won> Run();

 private:
  absl::Status Listen();
  absl::Status OpenStore();
  absl::Status OpenRoster();
  void Campaign();
  // OK also where it is too early: nobody has led yet.
  absl::Status TryToServe();
  absl::Status OpenIdentity(const std::string& cluster);
  // Callers are answered from here on. Once.
  absl::Status Answer();
  // Begins to, before the store says who the controllers are, where its own files say who it is: so
  // callers hear that the store is away, and do not wait for it. Otherwise nothing.
  void AnswerWithoutStore();
  // OK also where the cluster has no id yet.
  absl::Status CheckSharedBlobs(bool has_images);
  void BeginImages();
  void CollectNowAndThen();
  // Whether this program leads by it.
  bool IsOwn(const Roster::View& view) const;
  // One that leads does not stand by first, nor one that may in a moment.
  bool IsToStandBy(const Roster::View& view) const;
  void TellLeader(const Roster::ViewPtr& view);
  std::string WhyNoLeader() const;
  store::v1::EtcdController Self() const;
  void Pause(std::chrono::milliseconds time);
  absl::StatusOr<Won> TakeOver();

  Options& options_;
  const Parts parts_;
  const absl::Time begin_;
  std::unique_ptr<StandbyServer> server_;
  std::unique_ptr<AdminHttp> admin_;
  Callers callers_;
  std::unique_ptr<ClusterIdentity> identity_;
  WarmCopy copy_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Following> following_;
  std::shared_ptr<RosterFeed> feed_ = std::make_shared<RosterFeed>();
  std::unique_ptr<Roster> roster_;
  std::unique_ptr<ImageReplicator> images_;  // once it serves; null: see Parts::blobs
  absl::Time collected_ = absl::InfinitePast();
  std::chrono::steady_clock::time_point campaign_begin_;
  bool is_answering_ = false;
  bool is_serving_ = false;   // and it says that it is ready
  std::string told_;          // TellLeader's
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::string store_error_ = "it is being opened";  // empty: it has been
  std::optional<absl::StatusOr<Leadership>> campaigned_;
  std::thread campaign_;  // last: it uses the others
};

}  // namespace remuda
