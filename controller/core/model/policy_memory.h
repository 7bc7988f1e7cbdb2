// What a policy has to know of the values before the newest, kept so that an evaluation costs the
// same however long its times are. Pure values.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "controller/core/model/time.h"

namespace remuda::core {

// The largest of the numbers of a span of time, from which older ones drop out.
class LargestOf {
 public:
  void Add(Time time, int value) {
    while (!falling_.empty() && falling_.back().second <= value) falling_.pop_back();
    falling_.emplace_back(time, value);
  }
  // Of those from `from` on. There is one.
  int Since(Time from) {
    while (falling_.size() > 1 && falling_.front().first < from) falling_.pop_front();
    return falling_.front().second;
  }
  bool empty() const { return falling_.empty(); }
  void clear() { falling_.clear(); }

 private:
  // Each below the one before.
  std::deque<std::pair<Time, int>> falling_;
};

struct PolicyMemory {
  std::string policy;  // as it was when this was kept, serialized: another one knows nothing of it
  // Since when values are known, but for short gaps; and until when.
  std::optional<Time> known_since = std::nullopt;
  Time known_until = absl::InfinitePast();
  LargestOf needed = {};  // since then: hundredths of instances that would be enough
  // Since when the alarm is breached without a break.
  std::optional<Time> breached_since = std::nullopt;
};

}  // namespace remuda::core
