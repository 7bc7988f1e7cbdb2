// Simulated time and chance: events in order of time, and numbers that one seed decides.
#pragma once

#include <absl/time/time.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace remuda::sim {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}
  // 0..bound-1.
  int Below(int bound) { return static_cast<int>(Next() % static_cast<uint64_t>(bound)); }
  bool OneIn(int n) { return Below(n) == 0; }
  // From `low` up to, not including, `high`.
  double Uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(Next() >> 11) / 9007199254740992.0;  // 2^53
  }
  absl::Duration Between(absl::Duration low, absl::Duration high) {
    const int64_t span = std::max<int64_t>(1, absl::ToInt64Microseconds(high - low));
    return low + absl::Microseconds(static_cast<int64_t>(Next() % static_cast<uint64_t>(span)));
  }
  template <class T>
  const T& Of(const std::vector<T>& values) {
    return values[static_cast<size_t>(Below(static_cast<int>(values.size())))];
  }

 private:
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

class Scheduler {
 public:
  absl::Time now() const { return now_; }
  void After(absl::Duration delay, std::function<void()> what) {
    events_.push({now_ + std::max(delay, absl::ZeroDuration()), ++order_, std::move(what)});
  }
  // Runs what is due up to `end`.
  void RunUntil(absl::Time end) {
    while (!events_.empty() && events_.top().time <= end) {
      Event event = events_.top();
      events_.pop();
      now_ = event.time;
      event.what();
    }
    now_ = end;
  }

 private:
  struct Event {
    absl::Time time;
    uint64_t order;
    std::function<void()> what;
    bool operator<(const Event& other) const {
      return std::tie(other.time, other.order) < std::tie(time, order);
    }
  };
  std::priority_queue<Event> events_;
  uint64_t order_ = 0;
  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
};

// One direction of a session: delivers in order, each message late by chance; a broken session
// delivers nothing more.
class Channel {
 public:
  Channel(Scheduler& scheduler, Random& random) : scheduler_(scheduler), random_(random) {}
  void Send(std::function<void()> message) {
    const absl::Duration lag = random_.OneIn(10)
                                   ? random_.Between(absl::Milliseconds(1), absl::Seconds(2))
                                   : random_.Between(absl::Milliseconds(1), absl::Milliseconds(20));
    last_ = std::max(last_, scheduler_.now() + lag);
    scheduler_.After(last_ - scheduler_.now(), [this, life = life_, m = std::move(message)] {
      if (life == life_) m();
    });
  }
  void Break() { ++life_; }

 private:
  Scheduler& scheduler_;
  Random& random_;
  absl::Time last_ = absl::InfinitePast();
  int life_ = 0;
};

}  // namespace remuda::sim
