// Roster: which controllers there are and who leads them, as they say themselves in etcd:
// PREFIX/controllers/NAME, each with a lease of its own, and PREFIX/leader.
//
// Owns: this controller's own record, and a view of all of them that a watch keeps current. Does
// not own: leadership (etcd_store.h). Threads: two of its own, one that says and one that hears.
#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "controller/store/etcd_client.h"
#include "controller/store/etcd_keys.h"
#include "controller/store/etcd_lease.h"
#include "controller/store/store_options.h"
#include "remuda/store/v1/etcd.pb.h"

namespace remuda {

class Roster {
 public:
  // Controllers of one cluster; one more is refused.
  static constexpr size_t kMaxControllers = 64;
  static constexpr size_t kMaxNameBytes = 253;
  // What SetCommit says is written at most once in it.
  static constexpr std::chrono::milliseconds kSayPeriod{1000};
  // A lease ends in etcd so much later than its time, at most, that Open still waits for it.
  static constexpr std::chrono::milliseconds kLeaseEndPatience{3000};

  struct View {
    std::vector<store::v1::EtcdController> controllers;  // by name; at most kMaxControllers
    std::optional<store::v1::EtcdController> leader;
    int64_t epoch = 0;  // the leader's, as Leadership::epoch; 0: none leads
  };
  using ViewPtr = std::shared_ptr<const View>;  // never null

  struct Options {
    EtcdAddress address;
    // Its name has 1 to kMaxNameBytes printable bytes of ASCII and no slash.
    store::v1::EtcdController self;
    // The record of a controller that died stays so long.
    std::chrono::seconds time_to_live{10};
    // On the roster's thread, whenever the view differs, and with the first one.
    std::function<void(const ViewPtr& view)> on_change;
    // Asked now and then while Open waits for a name; true: it gives up, with CANCELLED.
    std::function<bool()> is_ended;
  };

  // Registers this controller and reads who else there is. FAILED_PRECONDITION with reason
  // NAME_TAKEN: another process has the name (its record has another address), and its lease has
  // not ended in time_to_live and kLeaseEndPatience. RESOURCE_EXHAUSTED: there are
  // kMaxControllers. INVALID_ARGUMENT: of the name. UNAVAILABLE: etcd does not answer.
  static absl::StatusOr<std::unique_ptr<Roster>> Open(Options options);
  Roster(const Roster&) = delete;
  Roster& operator=(const Roster&) = delete;
  // Takes the record away, if etcd answers. Waits for a call of on_change; not for its thread.
  ~Roster();

  // The last that etcd has told; it may be old where etcd does not answer. Any thread.
  ViewPtr current() const;
  // The newest commit that this controller has, and why its copy is not kept current (empty: it
  // is). Any thread.
  void SetCommit(int64_t commit, const std::string& error);

 private:
  class Records;
  using Clock = EtcdClient::Clock;

  explicit Roster(Options options)
      : options_(std::move(options)), keys_(options_.address.prefix), self_(options_.self) {}

  // Saying. One at a time: Open, then the saying thread.
  absl::Status Register();
  absl::Status AwaitName();
  // Writes the record where its key is as `expected` says (its create or mod revision; 0: there is
  // none). ABORTED: it is not, and `found` is what is there, if anything.
  struct Expected {
    bool is_created;
    int64_t revision;
  };
  absl::Status Write(const Expected& expected, std::optional<mvccpb::KeyValue>& found);
  absl::Status CheckRoom();
  void RunSaying();
  void Wake();

  // Hearing. One at a time: Open, then the hearing thread.
  absl::Status Read(Records& records);
  absl::Status Watch(Records& records);
  // The view of the records; null: it is as it was.
  ViewPtr Adopt(const Records& records);
  void Tell(const ViewPtr& view) const;
  void RunHearing();
  bool Pause();
  bool IsStopping() const;
  bool IsSelf(const store::v1::EtcdController& record) const;

  const Options options_;
  const EtcdKeys keys_;
  std::unique_ptr<EtcdClient> client_;
  std::unique_ptr<EtcdLease> lease_;  // of who says
  int64_t created_ = 0;               // create_revision of our record; of who says

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  store::v1::EtcdController self_;  // with commit and error
  ViewPtr view_ = std::make_shared<const View>();
  bool has_news_ = false;  // the record is to be written
  bool is_stopping_ = false;
  grpc::ClientContext* watch_ = nullptr;

  std::thread saying_;
  std::thread hearing_;
};

}  // namespace remuda
