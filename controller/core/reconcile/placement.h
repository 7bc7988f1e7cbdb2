// Placement: on which host a new instance goes. Spread over zones first, then hosts. Thread: the
// loop thread. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>

#include "controller/core/model/draft.h"
#include "controller/core/reconcile/host_rooms.h"

namespace remuda::core {

// Where a group's next instances can go. Costs what the side has and what it takes, not what hosts
// there are: those that have no room or are avoided are passed over once.
class Placement {
 public:
  // `launch` names `wanted`, what the new instances run; `spread` are the instances to spread with:
  // those of the same side.
  struct Wish {
    const v1::AutoScalingGroup& group;
    const v1::LaunchTemplateRef& launch;
    const v1::LaunchTemplateVersion& wanted;
    const InstanceList& spread;
  };
  // Brings `rooms` up to date. Not to be used any more when another is made of the same. Until then
  // nothing may be edited that bears on it but the instances placed.
  Placement(Rooms& rooms, const Wish& wish);

  // Id of the best host: one where no launch of this version has failed lately, the zone with the
  // fewest of the side, then the host with the fewest of the side, then the host with the fewest in
  // all, then by name. Empty if no host has room, or if the best is still awaited. Counts the
  // instance as placed there.
  std::string Take();

  // Why Take() answers nothing, for a person. Looks at every host.
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
  // What of two hosts of one zone is taken first: the less. (avoided, of the side, in all, index)
  using Rank = std::tuple<bool, int, int, size_t>;
  struct Zone {
    const Rooms::Line* line;
    // All before it are ours, have no room, or are among the known.
    Rooms::Line::const_iterator next;
    std::set<Rank> known;  // those with room that have some of the side or are avoided
  };
  // Of a host that has some of the side.
  struct Ours {
    int of_side = 0;
    int placed = 0;  // here
  };

  bool IsCandidate(size_t index) const;
  bool Names(std::string_view zone) const;
  Ours OursOn(size_t index) const;
  Rank RankOf(size_t index) const;
  bool IsPortTaken(size_t index) const;
  bool HasRoom(size_t index) const;
  // The least of the zone.
  std::optional<Rank> First(Zone& zone) const;
  // Why the host takes no instance of the group at all.
  std::string WhyIneligible(size_t index) const;

  Rooms& rooms_;
  const v1::LaunchTemplateRef launch_;
  const int port_;
  const Bounds wanted_;
  const bool must_filter_;
  const std::set<std::string, std::less<>> wanted_zones_;  // empty: any
  const Rooms::Order& order_;
  std::map<std::string, Zone> by_zone_;
  std::map<size_t, Ours> ours_;
  std::map<std::string, int, std::less<>> zones_;  // instances of the side by zone
  std::string awaited_;                            // the host that the last Take() stopped for
  Time awaited_until_ = absl::InfinitePast();
};

}  // namespace remuda::core
