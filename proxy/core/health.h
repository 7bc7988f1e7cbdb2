// Rise and fall of one target's health from the results of its checks. Time is an argument.
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "proxy/core/routing_table.h"
#include "proxy/core/target_state.h"

namespace remuda::proxy {

// How one check ended.
struct CheckResult {
  // kOurShortage: it could not be made, for want of descriptors, memory or ports of this proxy.
  enum class Kind : uint8_t {
    kPass,
    kWrongCode,
    kTimeout,
    kConnectFailed,
    kBadAnswer,
    kOurShortage
  };
  Kind kind = Kind::kPass;
  int status = 0;      // for kWrongCode
  std::string detail;  // for a person
};

class HealthTracker {
 public:
  explicit HealthTracker(std::chrono::system_clock::time_point now) : since_(now) {}

  // Of a target that another process has checked: as that found it.
  HealthTracker(Health health, std::string reason, std::string description,
                std::chrono::system_clock::time_point since)
      : health_(health),
        reason_(std::move(reason)),
        description_(std::move(description)),
        since_(since) {}

  // True if what is said of the target changed. A new target becomes healthy by one pass (AWS:
  // "registered targets need one"). A shortage of ours counts neither way: it is only told.
  bool OnCheck(const CheckResult& result, const HealthCheckSpec& spec,
               std::chrono::system_clock::time_point now);

  Health health() const { return health_; }
  const std::string& reason() const { return reason_; }  // as AWS names it; empty when healthy
  const std::string& description() const { return description_; }
  std::chrono::system_clock::time_point since() const { return since_; }

 private:
  Health health_ = Health::kInitial;
  std::string reason_ = "Elb.RegistrationInProgress";
  std::string description_ = "not checked yet";
  std::chrono::system_clock::time_point since_;
  int passes_ = 0;
  int failures_ = 0;
};

// From one check's begin to the next: within a tenth of `interval` on either side, evenly by
// `random` (any 64 bits), so that proxies and targets do not fall into step. An interval below
// 10 ms is left as it is.
std::chrono::milliseconds WithJitter(std::chrono::milliseconds interval, uint64_t random);

// Any moment within `interval`, evenly by `random`: where a target that was checked together with
// many others goes on by itself.
std::chrono::milliseconds AnyMoment(std::chrono::milliseconds interval, uint64_t random);

}  // namespace remuda::proxy
