// Agenda: what each group waits for, as its last reconcile said, and so which groups to look at
// when time has passed, a commit is confirmed, or hosts have changed.
//
// A group that is looked at says anew all that it waits for. Owns: the indexes. Does not own: what
// edits and reports touch by themselves (controller/engine/touched.h). Thread: the loop thread.
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "controller/core/model/time.h"

namespace remuda::core {

// What the last look at a group has to be repeated for, besides edits of its own rows and reports
// about them.
struct Waits {
  Time due = absl::InfiniteFuture();  // by time alone
  std::set<int64_t> commits = {};     // when all live proxies have confirmed one of them
  bool hosts = false;                 // when hosts join, leave, or have other room
};

// Looks of groups that wait for room are this far apart, whatever ends or begins meanwhile on hosts
// that others use too.
inline constexpr Duration kRoomInterval = absl::Seconds(1);

class Agenda {
 public:
  // The group was looked at, and waits for this and for nothing else.
  void Set(const std::string& group, Waits waits, Time now);
  // It is gone.
  void Erase(std::string_view group);
  void Clear();

  // The group is to be looked at by then, whatever it waits for.
  void DueBy(const std::string& group, Time time);
  // Other instances on hosts have begun or ended: those that wait for room are due, once an
  // interval.
  void RoomChanged(Time now);

  // Those to look at. They stay so until Set.
  std::set<std::string> Due(Time now) const;
  std::set<std::string> ConfirmedBy(int64_t commit) const;
  const std::set<std::string>& OnHosts() const { return on_hosts_; }
  // When the first is due by time; InfiniteFuture: none is.
  Time due() const { return by_time_.empty() ? absl::InfiniteFuture() : by_time_.begin()->first; }

 private:
  struct Entry {
    Waits waits;
    Time looked_at = absl::InfinitePast();
  };
  void Unlist(const std::string& group, const Waits& waits);

  std::map<std::string, Entry, std::less<>> groups_;
  std::set<std::pair<Time, std::string>> by_time_;
  std::set<std::pair<int64_t, std::string>> by_commit_;
  std::set<std::string> on_hosts_;
};

}  // namespace remuda::core
