// When the controller is told of groups whose requests wait for a first target: at once, and then
// every second while any waits.
//
// Thread: the control loop.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "proxy/core/steady_time.h"

namespace remuda::proxy {

class Wakes {
 public:
  static constexpr std::chrono::seconds kInterval{1};

  struct Due {
    std::string group;
    size_t held = 0;
  };

  // A request of the group waits, and none did before.
  void Note(const std::string& group, SteadyTime now) { due_.try_emplace(group, now); }
  // The controller knows of none: a session begins.
  void Restart(SteadyTime now) {
    for (auto& [group, due] : due_) due = now;
  }
  // A group to be told of now. `count_held(id)`: how many wait; a group of which none waits any
  // more is forgotten.
  template <typename CountHeld>
  std::optional<Due> Take(SteadyTime now, CountHeld count_held) {
    for (auto it = due_.begin(); it != due_.end();) {
      if (it->second > now) {
        ++it;
        continue;
      }
      const size_t held = count_held(it->first);
      if (held > 0) {
        it->second = now + kInterval;
        return Due{it->first, held};
      }
      it = due_.erase(it);
    }
    return std::nullopt;
  }
  // When the next is due; max: there is none.
  SteadyTime next() const {
    SteadyTime next = SteadyTime::max();
    for (const auto& [group, due] : due_) next = std::min(next, due);
    return next;
  }

 private:
  std::map<std::string, SteadyTime> due_;
};

}  // namespace remuda::proxy
