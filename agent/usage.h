// What instances and the host use: processor over the time since the last look, memory and
// processes of each tree.
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

class UsageMeter {
 public:
  struct Tree {
    std::string instance;
    pid_t root = 0;  // the shim: what its children used is counted even after they ended
  };

  v1::UsageReport Look(const std::vector<Tree>& trees, const std::string& data_directory,
                       std::chrono::steady_clock::time_point now);

 private:
  struct Last {
    pid_t root = 0;
    uint64_t cpu_ticks = 0;
  };
  std::map<std::string, Last> last_;
  uint64_t host_busy_ticks_ = 0;
  std::chrono::steady_clock::time_point when_{};
};

// What this host has: processors, memory, and free disk below `data_directory`.
remuda::v1::HostCapacity CapacityOf(const std::string& data_directory);

}  // namespace remuda::agent
