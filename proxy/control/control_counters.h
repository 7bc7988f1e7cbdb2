// What is counted of the way to the controller. Any thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "proxy/core/steady_time.h"

namespace remuda::proxy {

// Counters of the session with the controller; constant zeros when there is none.
struct ControlCounters {
  std::atomic<uint64_t> nacks{0};
  std::atomic<uint64_t> reloads{0};  // of the config file, by SIGHUP
  std::atomic<uint64_t> failed_reloads{0};
  std::atomic<uint64_t> sessions{0};
  // By one process from the other, this one's and those of the processes before it; and attempts
  // that came to nothing.
  std::atomic<uint64_t> takeovers{0};
  std::atomic<uint64_t> failed_takeovers{0};
  std::atomic<bool> is_connected{false};
  // Of the clock of leases (core/lease.h); 0: there is no controller to have one from.
  std::atomic<SteadyTime::rep> lease_end{0};
};

}  // namespace remuda::proxy
