// Which targets' numbers are told to the controller in a report: those that are not as it was told
// before, and of many those first that were told longest ago. Of one that is gone it is told once
// more that nothing is in flight, before all others: another one may have its name by now.
//
// Thread: the control loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "proxy/core/target_state.h"

namespace remuda::proxy {

class ToldTargets {
 public:
  static constexpr size_t kMaxTargetsAReport = 1000;

  struct Numbers {
    int64_t requests = 0;
    int64_t in_flight = 0;
    bool operator==(const Numbers&) const = default;
  };
  struct Target {
    std::shared_ptr<TargetState> target;
    Numbers numbers;
  };

  // The controller knows nothing: a session begins.
  void Forget() { told_.clear(); }
  // For a report: each target that there is, then Take.
  void Add(const std::shared_ptr<TargetState>& target, Numbers numbers);
  // What is told. Targets that were not added since the last one are gone: they are forgotten once
  // they are told to have nothing in flight.
  std::vector<Target> Take();

 private:
  struct Told {
    bool is_gone_in(uint64_t report) const { return added_for != report; }

    std::shared_ptr<TargetState> target;
    Numbers numbers = {};    // as told
    Numbers now = {};        // as added
    uint64_t told_in = 0;    // number of the report
    uint64_t added_for = 0;  // the same
  };

  std::unordered_map<const TargetState*, Told> told_;  // and those that never had any
  uint64_t report_ = 1;
  size_t added_ = 0;  // of told_, for this report
};

}  // namespace remuda::proxy
