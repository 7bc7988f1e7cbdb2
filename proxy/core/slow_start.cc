#include "proxy/core/slow_start.h"

#include <algorithm>

namespace remuda::proxy {

bool WarmsUp(const TargetGroup& group, SteadyTime now) {
  const auto slow_start = group.policy.slow_start;
  if (slow_start.count() == 0) return false;
  return std::any_of(group.members.begin(), group.members.end(), [&](const Member& member) {
    return member.admin == AdminState::kActive && member.target->is_healthy() &&
           member.target->warm_begin() + slow_start <= now;
  });
}

}  // namespace remuda::proxy
