// What instances and the host use: processor time, memory and processes of each tree, bytes of the
// network.
//
// Remembers the counters of the last look. Loop thread; one look reads /proc once for all
// instances.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/process.h"
#include "remuda/agent/v1/agent.pb.h"

namespace remuda::agent {

// A sum over /proc as a count that never falls. Two looks at a tree whose processes end meanwhile
// may see less than was there, and what a process leaves that nobody waits for is lost to /proc.
class RisingCount {
 public:
  // The count after a look that saw `sum`.
  int64_t See(int64_t sum);

 private:
  int64_t lost_ = 0;  // was seen, and is in no later sum
  int64_t high_ = 0;
  bool was_below_ = false;  // at the last look
};

struct NetworkBytes {
  int64_t received = 0;
  int64_t sent = 0;
};
// Of all interfaces but loopback in a text like /proc/net/dev.
NetworkBytes NetworkBytesIn(const std::string& text);

class UsageMeter {
 public:
  struct Tree {
    std::string instance;
    pid_t root = 0;  // the shim: what its children used is counted even after they ended
    std::vector<std::string> cgroups = {};  // of the run, where it has any
    int64_t started_unix_ms = 0;
    int restarts = 0;
  };

  v1::UsageReport Look(const std::vector<Tree>& trees, const std::string& data_directory,
                       std::chrono::steady_clock::time_point now);

 private:
  struct Last {
    pid_t root = 0;
    int64_t cpu_micros = 0;
    bool counts_by_cgroup = false;
    RisingCount seen = {};  // where no cgroup counts
  };
  std::map<std::string, Last> last_;
  uint64_t host_busy_ticks_ = 0;
  std::chrono::steady_clock::time_point when_{};
};

// What this host has: processors, memory, and free disk below `data_directory`.
remuda::v1::HostCapacity CapacityOf(const std::string& data_directory);

}  // namespace remuda::agent
