#include "controller/store/etcd_compactor.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>
#include <utility>

namespace remuda {
namespace {

constexpr int kLooksPerHistory = 4;
constexpr EtcdClient::Duration kTimeout{2000};

}  // namespace

EtcdCompactor::EtcdCompactor(EtcdClient& client, std::string key, EtcdClient::Duration history)
    : client_(client), key_(std::move(key)), history_(history), thread_([this] { Run(); }) {}

EtcdCompactor::~EtcdCompactor() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void EtcdCompactor::Run() {
  std::deque<std::pair<EtcdClient::Clock::time_point, int64_t>> seen;  // the oldest first; few
  const EtcdClient::Duration period =
      std::max(history_ / kLooksPerHistory, EtcdClient::Duration(1));
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, period, [this] { return is_stopping_; })) {
    lock.unlock();
    etcdserverpb::RangeRequest request;
    request.set_key(key_);
    etcdserverpb::RangeResponse response;
    const auto now = EtcdClient::Clock::now();
    absl::Status status = client_.Range(request, response, now + kTimeout);
    if (status.ok()) seen.emplace_back(now, response.header().revision());
    int64_t forget = 0;
    while (!seen.empty() && seen.front().first + history_ <= now) {
      forget = seen.front().second;
      seen.pop_front();
    }
    if (forget > 0) status = client_.Compact(forget, now + kTimeout);
    // OUT_OF_RANGE: somebody else was faster.
    if (!status.ok() && !absl::IsOutOfRange(status))
      spdlog::warn("{}; it is tried again", std::string(status.message()));
    lock.lock();
  }
}

}  // namespace remuda
