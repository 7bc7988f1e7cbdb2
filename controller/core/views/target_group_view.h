// What proxies are told of one target group: its targets and how traffic is split over them, from
// state and observations. Pure.
//
// Thread: the loop thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/model/observations.h"
#include "controller/core/model/state.h"
#include "remuda/proxy/v1/config.pb.h"

namespace remuda::core {

// What a target counts for in its subset. One that is registered by hand counts as often as its
// weight says; what is kept from traffic counts nothing.
struct TargetShare {
  bool serves = false;
  bool is_withheld = false;  // and active
  int active = 0;
  int in_service = 0;
};

// The same of all targets of a subset.
struct SubsetTotal {
  int targets = 0;
  int serving = 0;
  int active = 0;
  int in_service = 0;

  bool serves() const { return serving > 0; }
  // Counts one in (1) or out (-1).
  void Count(const TargetShare& share, int by);
};
using SubsetTotals = std::map<std::string, SubsetTotal, std::less<>>;

// What a deployment under way says of the split: of one group's subsets.
struct GroupSplit {
  std::string prefix;      // of its subsets' names: "web/"
  std::string new_subset;  // "web/shop:2"
  // Each side has a part: the new one so many per cent of what the group has. 0: by number.
  int percent = 0;
  std::shared_ptr<const v1::Deployment> row;
};
using GroupSplits = std::vector<GroupSplit>;

// The part of a proxy's config that belongs to one target group; empty when the group is not there.
struct TargetGroupView {
  std::optional<v1::TargetGroup> target_group;
  std::optional<proxy::v1::TrafficSplit> split;
  std::map<std::string, proxy::v1::Target, std::less<>> targets;  // by target id
  // What the split follows from.
  std::map<std::string, TargetShare, std::less<>> shares;  // by target id
  SubsetTotals subsets;
  // As of when the view was made anew: a changed deployment makes it so.
  GroupSplits group_splits;
};
TargetGroupView TargetGroupViewOf(const State& state, const Observations& seen,
                                  std::string_view target_group);

// What is otherwise than in a view that was made before.
struct TargetGroupChange {
  struct Shown {
    proxy::v1::Target target;
    TargetShare share;
  };
  std::map<std::string, std::optional<Shown>> targets;  // nullopt: it is none any more
  SubsetTotals subsets;
  std::optional<proxy::v1::TrafficSplit> split;
};
// Brings a view up to date of which at most these targets have changed. Costs what they are, not
// what the group has. nullopt: others have changed with them, TargetGroupViewOf has to tell.
std::optional<TargetGroupChange> ChangeOf(const State& state, const Observations& seen,
                                          std::string_view target_group,
                                          const std::set<std::string>& ids,
                                          const TargetGroupView& before);

}  // namespace remuda::core
