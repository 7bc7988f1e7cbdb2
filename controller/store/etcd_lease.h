// EtcdLease: a lease of etcd, kept alive by a thread of its own for as long as that is possible.
//
// Owns: when it is surely still held. Does not own: what hangs on it. A lease that may have ended
// is lost, whatever etcd says later. Any thread.
#pragma once

#include <absl/status/statusor.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "controller/store/etcd_client.h"

namespace remuda {

class EtcdLease {
 public:
  using Clock = EtcdClient::Clock;
  // Called once, on the lease's thread, when it is lost; not when it is given back.
  using OnLost = std::function<void(const absl::Status& why)>;

  // `client` outlives it.
  static absl::StatusOr<std::unique_ptr<EtcdLease>> Grant(EtcdClient& client,
                                                          std::chrono::seconds time_to_live,
                                                          OnLost on_lost, Clock::time_point end);
  EtcdLease(const EtcdLease&) = delete;
  EtcdLease& operator=(const EtcdLease&) = delete;
  // Gives it back: what hangs on it is deleted, if etcd answers within kReleaseTimeout.
  ~EtcdLease();

  static constexpr EtcdClient::Duration kReleaseTimeout{1000};

  int64_t id() const { return id_; }
  // Until then nobody else can have what hangs on it: counted from before the request was sent
  // that etcd has answered last.
  Clock::time_point deadline() const {
    // In this order: a process that is stopped in between finds it earlier, not later.
    const Clock::time_point now = Clock::now();
    return now + (until() - Now());
  }
  bool IsHeld() const { return !is_lost_ && Now() < until(); }
  // Gives it back at once and for good.
  absl::Status Release(Clock::time_point end);

 private:
  // The clock of the deadline: it goes on while the machine is suspended, when Clock stands still.
  static Clock::time_point Now();
  Clock::time_point until() const { return Clock::time_point(deadline_.load()); }
  EtcdLease(EtcdClient& client, int64_t id, OnLost on_lost)
      : client_(client), id_(id), on_lost_(std::move(on_lost)) {}
  void Run();
  // Asks once; whether etcd has answered that the lease lives.
  bool Renew(EtcdClient::Duration timeout);
  void Lose(const absl::Status& why);
  // False: it is to end.
  bool Pause(EtcdClient::Duration time);

  EtcdClient& client_;
  const int64_t id_;
  const OnLost on_lost_;
  EtcdClient::Duration time_to_live_{0};   // constant after Grant
  std::atomic<Clock::duration> deadline_;  // of Now
  std::atomic<bool> is_lost_ = false;
  absl::Status last_error_;  // of the thread
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace remuda
