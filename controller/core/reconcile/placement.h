// Placement: on which host a new instance goes. Spread over zones first, then hosts. Thread: the
// loop thread. Pure.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "controller/core/model/draft.h"
#include "controller/core/model/observations.h"

namespace remuda::core {

// Whether the host's labels hold all of the group's host_selector.
bool HasLabels(const v1::Host& host, const v1::AutoScalingGroup& group);

// Where a group's next instances can go. Built once, which costs a look at each host, then told of
// each placement, which costs next to nothing.
class Placement {
 public:
  // `launch` names `wanted`, what the new instances run; `spread` are the instances to spread with:
  // those of the same side. Looks at every host.
  struct Wish {
    const v1::AutoScalingGroup& group;
    const v1::LaunchTemplateRef& launch;
    const v1::LaunchTemplateVersion& wanted;
    const InstanceList& spread;
  };
  Placement(const Draft& draft, const Observations& seen, Time now, const Wish& wish);

  // Id of the best host: one where no launch of this version has failed lately, the zone with the
  // fewest of the side, then the host with the fewest of the side, then the host with the fewest in
  // all, then by name. Empty if no host has room, or if the best is still awaited. Counts the
  // instance as placed there.
  std::string Take();

  // Why Take() answers nothing, for a person.
  std::string WhyNone() const;

  // When the host that Take() would have liked counts as lost if it does not come back: it is
  // known, but has not been heard of since the controller began. InfinitePast: it did not stop for
  // one.
  Time awaited_until() const { return awaited_until_; }

  // Zone of a host that Take() answered, and how many of the side are in a zone now.
  const std::string& ZoneOf(std::string_view host) const;
  int InZone(std::string_view zone) const;
  // Whether launches have failed on the host lately.
  bool IsAvoided(std::string_view host) const;

  // Whether an instance of the group on the host ending would make room where there is none now.
  bool WouldFree(std::string_view host) const;

 private:
  struct Candidate {
    std::string id;
    std::string zone;
    int of_side = 0;
    int in_all = 0;
    bool port_taken = false;
    bool avoided = false;                       // launches have failed there lately
    Time awaited_until = absl::InfinitePast();  // not heard of yet; else InfinitePast
    int64_t cpu_free = 0;  // after what instances are bounded to; the maximum if not declared
    int64_t memory_free = 0;
  };

  void Add(const Draft& draft, const HostObservation* seen, const std::string& id,
           const v1::Host& host, Time awaited_until);
  void CountUse(const Draft& draft, const HostObservation* seen, Candidate& candidate) const;
  const Candidate* Find(std::string_view host) const;
  // What of two candidates of one zone is taken first: the less.
  using Rank = std::tuple<bool, int, int, size_t>;
  Rank RankOf(size_t index) const;
  bool HasRoom(const Candidate& candidate) const;

  const Time now_;
  const v1::LaunchTemplateRef launch_;
  int port_;
  int64_t cpu_;  // wanted, 0: no bound
  int64_t memory_;
  std::vector<Candidate> candidates_;              // eligible, by name
  std::map<std::string, std::set<Rank>> by_zone_;  // those with room
  std::map<std::string, int, std::less<>> zones_;  // instances of the side by zone
  std::vector<std::string> ineligible_;            // "h1 is cordoned"
  std::string awaited_;                            // the host that the last Take() stopped for
  Time awaited_until_ = absl::InfinitePast();
};

}  // namespace remuda::core
