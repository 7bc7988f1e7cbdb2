// Passive ejection: which target goes out for a while because requests to it failed one after the
// other, and when it comes back. Time is an argument. One thread.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "proxy/core/routing_table.h"
#include "proxy/core/steady_time.h"

namespace remuda::proxy {

class Ejections {
 public:
  // As many failures in a row as the group's policy allows. True if the target is out now: not
  // beyond the group's bound on the share, never its last healthy one. Twice as long as the time
  // before unless it served for max_time since. The caller then calls GroupState::Changed.
  bool Eject(const TargetGroup& group, const std::shared_ptr<TargetState>& target, SteadyTime now);
  // Brings back those whose time is over.
  std::vector<std::shared_ptr<TargetState>> Return(SteadyTime now);
  // When the next comes back; max if none is out.
  SteadyTime next_return() const;
  void Forget(TargetState* target) { records_.erase(target); }
  // Until when the target is out, and for how long in all; nothing: it is not.
  std::optional<std::pair<SteadyTime, std::chrono::milliseconds>> OutUntil(
      const TargetState& target) const;
  // It was out, as another process knew (OutUntil). The caller then calls GroupState::Changed.
  void Recall(const std::shared_ptr<TargetState>& target, SteadyTime until,
              std::chrono::milliseconds time);

 private:
  struct Record {
    std::shared_ptr<TargetState> target;
    bool is_out = false;
    SteadyTime returns_at;  // or returned
    std::chrono::milliseconds last_time{0};
  };
  std::unordered_map<const TargetState*, Record> records_;
};

}  // namespace remuda::proxy
