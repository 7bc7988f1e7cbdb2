// Anomaly mitigation: a target whose requests fail clearly more often than its group's get fewer,
// until they no longer do. Counts over a decaying window of about ten looks. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "proxy/core/routing_table.h"

namespace remuda::proxy {

class AnomalyDetector {
 public:
  // As AWS: with fewer healthy targets nothing stands out.
  static constexpr size_t kMinTargets = 3;
  // Requests in the window, for a rate to mean anything.
  static constexpr double kMinRequests = 10;
  // What stands out: at least this rate of failures, and three times the group's median.
  static constexpr double kMinRate = 0.05;
  static constexpr double kTimesMedian = 3;
  // The least share that is left, so that an end of the trouble is seen.
  static constexpr uint32_t kLeastShare = kFullShare / 16;

  // Looks at the counters of the group's targets, a second or so after the last look, and sets
  // their shares: half of what it was while it stands out, then twice until it is whole.
  void Look(const TargetGroup& group);
  // The group does not want it any more.
  void GiveBack(const TargetGroup& group);
  void Forget(const TargetState* target) { windows_.erase(target); }

 private:
  struct Window {
    uint64_t requests_seen = 0;
    uint64_t failures_seen = 0;
    double requests = 0;
    double failures = 0;
    double rate() const { return requests < kMinRequests ? 0 : failures / requests; }
  };
  static constexpr double kDecay = 0.9;

  std::unordered_map<const TargetState*, Window> windows_;
};

}  // namespace remuda::proxy
