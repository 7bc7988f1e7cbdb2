#include "controller/core/reconcile/agenda.h"

#include <algorithm>

namespace remuda::core {

void Agenda::Unlist(const std::string& group, const Waits& waits) {
  by_time_.erase({waits.due, group});
  for (const int64_t commit : waits.commits) by_commit_.erase({commit, group});
  on_hosts_.erase(group);
}

void Agenda::Set(const std::string& group, Waits waits, Time now) {
  Entry& entry = groups_[group];
  Unlist(group, entry.waits);
  if (waits.due != absl::InfiniteFuture()) by_time_.emplace(waits.due, group);
  for (const int64_t commit : waits.commits) by_commit_.emplace(commit, group);
  if (waits.hosts) on_hosts_.insert(group);
  entry = {std::move(waits), now};
}

void Agenda::Erase(std::string_view group) {
  const auto it = groups_.find(group);
  if (it == groups_.end()) return;
  Unlist(it->first, it->second.waits);
  groups_.erase(it);
}

void Agenda::Clear() { *this = Agenda(); }

void Agenda::DueBy(const std::string& group, Time time) {
  Waits& waits = groups_[group].waits;
  if (time >= waits.due) return;
  by_time_.erase({waits.due, group});
  waits.due = time;
  by_time_.emplace(time, group);
}

void Agenda::RoomChanged(Time now) {
  for (const std::string& group : on_hosts_) {
    DueBy(group, std::max(now, groups_[group].looked_at + kRoomInterval));
  }
}

std::set<std::string> Agenda::Due(Time now) const {
  std::set<std::string> out;
  for (const auto& [time, group] : by_time_) {
    if (time > now) break;
    out.insert(group);
  }
  return out;
}

std::set<std::string> Agenda::ConfirmedBy(int64_t commit) const {
  std::set<std::string> out;
  for (const auto& [awaited, group] : by_commit_) {
    if (awaited > commit) break;
    out.insert(group);
  }
  return out;
}

}  // namespace remuda::core
