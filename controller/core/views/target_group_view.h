// What proxies are told of one target group: its targets and how traffic is split over them, from
// state and observations. Pure.
//
// Thread: the loop thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "controller/core/model/observations.h"
#include "controller/core/model/state.h"
#include "remuda/proxy/v1/config.pb.h"

namespace remuda::core {

// The part of a proxy's config that belongs to one target group; empty when the group is not there.
struct TargetGroupView {
  std::optional<v1::TargetGroup> target_group;
  std::optional<proxy::v1::TrafficSplit> split;
  std::map<std::string, proxy::v1::Target, std::less<>> targets;  // by target id
};
TargetGroupView TargetGroupViewOf(const State& state, const Observations& seen,
                                  std::string_view target_group);

// Target groups whose view the changes can touch: the target group itself, those of an instance's
// group, and so on.
std::set<std::string> TargetGroupsTouchedBy(const State& before, const State& after,
                                            const Changes& changes);

}  // namespace remuda::core
