#include "controller/store/etcd_lease.h"

#include <absl/strings/str_cat.h>
#include <time.h>

#include <algorithm>

#include "common/status.h"

namespace remuda {
namespace {

// After a try that failed, at another member.
constexpr EtcdClient::Duration kRetryPause{50};

}  // namespace

absl::StatusOr<std::unique_ptr<EtcdLease>> EtcdLease::Grant(EtcdClient& client,
                                                            std::chrono::seconds time_to_live,
                                                            OnLost on_lost, Clock::time_point end) {
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl(time_to_live.count());
  etcdserverpb::LeaseGrantResponse response;
  const Clock::time_point begin = Now();
  if (absl::Status status = client.Grant(request, response, end); !status.ok()) return status;
  if (response.id() == 0)
    return Unavailable(absl::StrCat("etcd: cannot get a lease: ", response.error()));
  std::unique_ptr<EtcdLease> lease(new EtcdLease(client, response.id(), std::move(on_lost)));
  lease->time_to_live_ = std::chrono::seconds(response.ttl());
  lease->deadline_ = (begin + lease->time_to_live_).time_since_epoch();
  lease->thread_ = std::thread([raw = lease.get()] { raw->Run(); });
  return lease;
}

EtcdLease::Clock::time_point EtcdLease::Now() {
  timespec time{};
  clock_gettime(CLOCK_BOOTTIME, &time);
  return Clock::time_point(std::chrono::seconds(time.tv_sec) +
                           std::chrono::nanoseconds(time.tv_nsec));
}

EtcdLease::~EtcdLease() { Release(Clock::now() + kReleaseTimeout).IgnoreError(); }

absl::Status EtcdLease::Release(Clock::time_point end) {
  const bool was_lost = is_lost_.exchange(true);
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable() && thread_.get_id() != std::this_thread::get_id()) thread_.join();
  // One that was lost ends by itself, and etcd may well not answer.
  return was_lost ? absl::OkStatus() : client_.Revoke(id_, end);
}

bool EtcdLease::Pause(EtcdClient::Duration time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [this] { return is_stopping_; });
  return !is_stopping_;
}

void EtcdLease::Lose(const absl::Status& why) {
  if (is_lost_.exchange(true)) return;
  if (on_lost_) on_lost_(why);
}

bool EtcdLease::Renew(EtcdClient::Duration timeout) {
  etcdserverpb::LeaseKeepAliveResponse response;
  const Clock::time_point begin = Now();
  last_error_ = client_.KeepAlive(id_, response, timeout);
  if (!last_error_.ok()) return false;
  if (response.ttl() <= 0) {
    last_error_ = Unavailable("etcd: the lease has ended");
    deadline_ = Clock::duration::zero();
    return false;
  }
  // An answer that comes when it is over revives nothing: others were told.
  if (begin < until()) {
    deadline_ = std::max(until(), begin + std::chrono::seconds(response.ttl())).time_since_epoch();
  }
  return true;
}

void EtcdLease::Run() {
  const EtcdClient::Duration period = time_to_live_ / 3;
  bool is_renewed = true;
  while (Pause(is_renewed ? period : kRetryPause)) {
    const auto left = std::chrono::duration_cast<EtcdClient::Duration>(until() - Now());
    if (left > EtcdClient::Duration::zero()) is_renewed = Renew(std::min(period, left));
    if (Now() < until()) continue;
    return Lose(Unavailable(
        absl::StrCat("the lease in etcd is lost: ", std::string(last_error_.message()))));
  }
}

}  // namespace remuda
