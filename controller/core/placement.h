// Placement: on which host a new instance goes. Spread over zones first, then hosts. Thread: the
// loop thread. Pure.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/draft.h"
#include "controller/core/observations.h"

namespace remuda::core {

// Where a group's next instances can go. Built once, then told of each placement.
class Placement {
 public:
  // `wanted` is what the new instances run; `spread` are the instances to spread with: those of the
  // same side. Looks at every host.
  Placement(const Draft& draft, const Observations& seen, const v1::AutoScalingGroup& group,
            const v1::LaunchTemplate& wanted, const InstanceList& spread);

  // Id of the best host: the zone with the fewest of the side, then the host with the fewest of the
  // side, then the host with the fewest in all, then by name. Empty if no host has room. Counts the
  // instance as placed there.
  std::string Take();

  // Why Take() answers nothing, for a person.
  std::string WhyNone() const;

  // Whether an instance of the group on the host ending would make room where there is none now.
  bool WouldFree(std::string_view host) const;

 private:
  struct Candidate {
    std::string id;
    std::string zone;
    int of_side = 0;
    int in_all = 0;
    bool port_taken = false;
    int64_t cpu_free = 0;  // after what instances are bounded to; the maximum if not declared
    int64_t memory_free = 0;
  };

  void Add(const Draft& draft, const Observations& seen, const std::string& id,
           const v1::Host& host);
  void CountUse(const Draft& draft, const HostObservation& seen, Candidate& candidate) const;
  bool HasRoom(const Candidate& candidate) const;

  int port_;
  int64_t cpu_;  // wanted, 0: no bound
  int64_t memory_;
  std::vector<Candidate> candidates_;    // eligible, by name
  std::map<std::string, int> zones_;     // instances of the side by zone
  std::vector<std::string> ineligible_;  // "h1 is cordoned"
};

}  // namespace remuda::core
