#include "controller/engine/loop.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "common/status.h"
#include "controller/limits.h"

namespace remuda {

Loop::~Loop() { Stop(); }

void Loop::Start(std::function<absl::Time()> turn) {
  turn_ = std::move(turn);
  thread_ = std::thread([this] { Run(); });
}

void Loop::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  posted_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Loop::Post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  posted_.notify_one();
}

absl::Status Loop::PostRequest(Task task) {
  if (metrics_.queued_requests.fetch_add(1) >= static_cast<int64_t>(limits::kMaxQueuedRequests)) {
    --metrics_.queued_requests;
    ++metrics_.refused_requests;
    return LimitExceeded("kMaxQueuedRequests",
                         "the controller is busy: " + std::to_string(limits::kMaxQueuedRequests) +
                             " requests wait already; try again later");
  }
  Post([this, task = std::move(task)] {
    --metrics_.queued_requests;
    task();
  });
  return absl::OkStatus();
}

bool Loop::Take(absl::Time due, std::vector<Task>& tasks) {
  // Longer waits are cut into pieces, so that no conversion of a far time can overflow.
  constexpr absl::Duration kLongestWait = absl::Minutes(1);
  std::unique_lock lock(mutex_);
  if (tasks_.empty() && !stopping_) {
    const absl::Duration wait = std::min(due - clock_.Now(), kLongestWait);
    if (wait > absl::ZeroDuration()) {
      posted_.wait_for(lock, absl::ToChronoNanoseconds(wait),
                       [this] { return !tasks_.empty() || stopping_; });
    }
  }
  tasks.swap(tasks_);
  return !(stopping_ && tasks.empty());
}

void Loop::RunTimers(absl::Time until) {
  while (!timers_.empty() && timers_.begin()->first <= until) {
    auto timer = timers_.extract(timers_.begin());
    timer.mapped()();
  }
}

void Loop::Run() {
  // A turn comes after so long, however many tasks wait: what the first of them have changed is
  // published before the last has run. Where turns take longer, tasks have as long as they, within
  // a bound: the more is reported before a turn, the longer that is.
  constexpr absl::Duration kShortestRound = absl::Milliseconds(10);
  constexpr absl::Duration kLongestRound = absl::Milliseconds(15);
  std::vector<Task> tasks;
  size_t next = 0;  // the tasks before it have run
  absl::Time due = absl::InfinitePast();
  absl::Duration last_turn = absl::ZeroDuration();
  absl::Time taken = absl::InfinitePast();  // when the tasks were
  while (next < tasks.size() || Take(due, tasks)) {
    if (next == 0) taken = clock_.Now();
    const absl::Time begun = clock_.Now();
    const absl::Duration round = std::clamp(last_turn, kShortestRound, kLongestRound);
    while (next < tasks.size() && clock_.Now() - begun < round) {
      tasks[next]();
      tasks[next++] = nullptr;
    }
    if (next == tasks.size()) {
      tasks.clear();
      next = 0;
      // A time limit is over when all has run that was posted within it.
      RunTimers(taken);
    }
    const absl::Time turned = clock_.Now();
    due = turn_();
    last_turn = clock_.Now() - turned;
    metrics_.turn_seconds.Record(absl::ToDoubleSeconds(clock_.Now() - begun));
    if (!timers_.empty()) due = std::min(due, timers_.begin()->first);
  }
}

}  // namespace remuda
