// HostUse: what the instances on one host take up, so that nobody has to look at each of them to
// know it. Kept by State and, with its edits, by Draft. Thread: the loop thread. Pure.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "remuda/v1/auto_scaling.pb.h"

namespace remuda::core {

struct HostUse {
  int instances = 0;  // of any state but TERMINATED: one that drains still takes its room
  // Of any state, unhealthy and on the way out or gone: those that may be failed launches.
  int failed = 0;
  std::map<int, int> ports;                             // port, not 0: instances, not TERMINATED
  std::map<std::pair<std::string, int>, int> launches;  // template, version: likewise

  bool operator==(const HostUse&) const = default;
  bool empty() const { return instances == 0 && failed == 0; }

  void Add(const v1::Instance& row) { Count(row, 1); }
  // One that was added.
  void Remove(const v1::Instance& row) { Count(row, -1); }

 private:
  void Count(const v1::Instance& row, int by);
};

// Whether both add the same to the use of the same host.
bool HasSameUse(const v1::Instance& a, const v1::Instance& b);

}  // namespace remuda::core
