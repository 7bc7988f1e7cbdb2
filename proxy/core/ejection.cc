#include "proxy/core/ejection.h"

#include <algorithm>

namespace remuda::proxy {

bool Ejections::Eject(const TargetGroup& group, const std::shared_ptr<TargetState>& target,
                      SteadyTime now) {
  const EjectionSpec& spec = group.policy.ejection;
  if (spec.consecutive_failures == 0 || !target->is_healthy() || target->is_leaving()) return false;
  size_t active = 0;
  size_t healthy = 0;
  size_t out = 0;
  for (const Member& member : group.members) {
    if (member.admin != AdminState::kActive) continue;
    ++active;
    healthy += member.target->is_healthy();
    out += member.target->is_ejected();
  }
  const size_t allowed = std::max<size_t>(active * spec.max_percent / 100, 1);
  if (out >= allowed || healthy <= 1) return false;
  Record& record = records_[target.get()];
  const bool is_soon = record.target != nullptr && now - record.returns_at < spec.max_time;
  record.target = target;
  record.is_out = true;
  record.last_time = is_soon ? std::min(record.last_time * 2, spec.max_time) : spec.base_time;
  record.returns_at = now + record.last_time;
  target->SetEjected(true);
  return true;
}

std::vector<std::shared_ptr<TargetState>> Ejections::Return(SteadyTime now) {
  std::vector<std::shared_ptr<TargetState>> back;
  for (auto& [key, record] : records_) {
    if (!record.is_out || record.returns_at > now) continue;
    record.is_out = false;
    record.target->SetEjected(false);
    back.push_back(record.target);
  }
  return back;
}

std::optional<std::pair<SteadyTime, std::chrono::milliseconds>> Ejections::OutUntil(
    const TargetState& target) const {
  const auto it = records_.find(&target);
  if (it == records_.end() || !it->second.is_out) return std::nullopt;
  return std::pair(it->second.returns_at, it->second.last_time);
}

void Ejections::Recall(const std::shared_ptr<TargetState>& target, SteadyTime until,
                       std::chrono::milliseconds time) {
  records_[target.get()] = {target, true, until, time};
  target->SetEjected(true);
}

SteadyTime Ejections::next_return() const {
  SteadyTime next = SteadyTime::max();
  for (const auto& [key, record] : records_) {
    if (record.is_out) next = std::min(next, record.returns_at);
  }
  return next;
}

}  // namespace remuda::proxy
