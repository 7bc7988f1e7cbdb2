// How a target group wants its requests spread, checked and compiled from its message. Constant
// once made.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "proxy/core/config_fwd.h"

namespace remuda::proxy {

enum class Algorithm : uint8_t { kRoundRobin, kLeastOutstanding, kWeightedRandom, kConsistentHash };

// What the hash of CONSISTENT_HASH is made of.
struct HashKeySpec {
  enum class Kind : uint8_t { kSourceIp, kHeader, kCookie };
  Kind kind = Kind::kSourceIp;
  std::string name;  // of the header or the cookie
};

struct StickinessSpec {
  enum class Kind : uint8_t { kOff, kDuration, kApp };
  Kind kind = Kind::kOff;
  std::chrono::seconds duration{86400};
  std::string cookie_name;  // of the app's own, for kApp
};

struct EjectionSpec {
  uint32_t consecutive_failures = 0;  // 0: off
  std::chrono::milliseconds base_time{10000};
  std::chrono::milliseconds max_time{300000};
  uint32_t max_percent = 20;
};

struct LimitSpec {
  uint32_t max_requests = 0;  // in flight to a target from this proxy; 0: no limit
  uint32_t max_queue = 100;   // of the group
  std::chrono::milliseconds queue_timeout{1000};
};

// Requests wait while no target takes any.
struct HoldSpec {
  uint32_t max_requests = 0;              // at a time, of the group; 0: none waits
  uint64_t max_bytes = 16 * 1024 * 1024;  // of what was read of their bodies, together
  std::chrono::milliseconds timeout{30000};

  bool is_on() const { return max_requests > 0; }
};

// What is forgiven in targets' answers.
struct ToleranceSpec {
  bool bare_lf = false;
  bool padded_chunk_sizes = false;
};

struct GroupPolicy {
  Algorithm algorithm = Algorithm::kRoundRobin;
  bool mitigates_anomalies = false;
  bool prefers_own_zone = false;
  std::chrono::milliseconds slow_start{0};  // 0: off
  HashKeySpec hash_key;
  StickinessSpec stickiness;
  EjectionSpec ejection;
  LimitSpec limit;
  HoldSpec hold;
  ToleranceSpec tolerance;
  uint32_t minimum_healthy_count = 1;
  uint32_t minimum_healthy_percent = 0;

  // Whether picks go by the requests in flight at each target.
  bool UsesLoad() const {
    return algorithm == Algorithm::kLeastOutstanding || algorithm == Algorithm::kConsistentHash ||
           limit.max_requests > 0;
  }
};

// Nothing, or the field, its value and the rule that it breaks.
std::optional<std::string> CompileGroupPolicy(const remuda::v1::TargetGroup& config,
                                              GroupPolicy& out);

}  // namespace remuda::proxy
