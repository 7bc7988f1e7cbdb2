// Tally: what all players together have seen and done, for the driver to wait for. Thread: any.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <utility>

namespace remuda::bench {

using Clock = std::chrono::steady_clock;

// A target that the driver has changed, and how that shows in a proxy's config.
struct Awaited {
  enum class Change { kActive, kOutOfRotation };
  std::string target_group;
  std::string target;
  Change change = Change::kActive;
};

// Of a target. Those of all proxies are one: a thousand proxies with a thousand targets each fit.
struct TargetName {
  std::string group;
  std::string target;
  bool operator<(const TargetName& other) const {
    return std::tie(group, target) < std::tie(other.group, other.target);
  }
};

struct Counts {
  int64_t running = 0;       // instances, at all agents
  int64_t started = 0;       // ever
  int64_t new_targets = 0;   // acknowledged, over all proxies
  int64_t awaited_acks = 0;  // proxies that have acknowledged what is awaited
  Clock::time_point last_awaited_ack;
  int64_t lost = 0;  // streams that the controller ended
  // By epoch, receivers that have acknowledged a revision of it.
  std::map<int64_t, int64_t> agents_confirmed;
  std::map<int64_t, int64_t> proxies_confirmed;
};

class Tally {
 public:
  void Add(const std::function<void(Counts&)>& change) {
    const std::lock_guard lock(mutex_);
    change(counts_);
    changed_.notify_all();
  }
  // Bytes of messages, to receivers and from them.
  void CountDown(size_t bytes) {
    down_ += static_cast<int64_t>(bytes);
    ++messages_;
  }
  void CountUp(size_t bytes) {
    up_ += static_cast<int64_t>(bytes);
    ++messages_;
  }
  // Lives as long as this.
  const TargetName* Intern(TargetName name) {
    const std::lock_guard lock(names_mutex_);
    return &*names_.insert(std::move(name)).first;
  }

  // Both ways.
  int64_t messages() const { return messages_; }
  int64_t bytes_down() const { return down_; }
  int64_t bytes_up() const { return up_; }

  Counts counts() {
    const std::lock_guard lock(mutex_);
    return counts_;
  }
  // False: not by `deadline`.
  bool WaitFor(const std::function<bool(const Counts&)>& condition, Clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, deadline, [&] { return condition(counts_); });
  }

  // From here on proxies count what they acknowledge of it.
  void Await(Awaited awaited) {
    const std::lock_guard lock(mutex_);
    awaited_ = std::make_shared<const Awaited>(std::move(awaited));
    counts_.awaited_acks = 0;
  }
  std::shared_ptr<const Awaited> awaited() {
    const std::lock_guard lock(mutex_);
    return awaited_;
  }
  void CountAwaited(const Awaited* awaited) {
    const std::lock_guard lock(mutex_);
    if (awaited_.get() != awaited) return;
    ++counts_.awaited_acks;
    counts_.last_awaited_ack = Clock::now();
    changed_.notify_all();
  }

 private:
  std::atomic<int64_t> down_ = 0;
  std::atomic<int64_t> up_ = 0;
  std::atomic<int64_t> messages_ = 0;
  std::mutex names_mutex_;
  std::set<TargetName> names_;  // guarded by names_mutex_
  std::mutex mutex_;            // guards what follows
  std::condition_variable changed_;
  Counts counts_;
  std::shared_ptr<const Awaited> awaited_;
};

}  // namespace remuda::bench
