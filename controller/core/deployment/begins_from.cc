#include "controller/core/deployment/begins_from.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"

namespace remuda::core {

v1::LaunchTemplateRef RunsBeside(const Draft& draft, std::string_view id,
                                 const v1::AutoScalingGroup& group,
                                 const v1::LaunchTemplateRef& to) {
  // By how many serve, then whether the group names it, then by how many are up.
  using Rank = std::tuple<int, bool, int>;
  std::map<std::pair<std::string, int>, Rank> ranks;
  const auto rank = [&](const v1::LaunchTemplateRef& ref) -> Rank& {
    return ranks[{ref.launch_template(), ref.resolved_version()}];
  };
  if (!IsSame(group.launch_template(), to)) std::get<1>(rank(group.launch_template())) = true;
  for (const auto& [instance, row] : draft.InstancesOfGroup(id)) {
    if (IsApart(*row)) continue;
    const bool up = IsUp(row->state()) || row->state() == v1::INSTANCE_STATE_UNKNOWN;
    if (!up || IsWithheld(*row) || IsSame(row->launch_template(), to)) continue;
    std::get<0>(rank(row->launch_template())) += IsServing(*row);
    std::get<2>(rank(row->launch_template())) += 1;
  }
  const auto best = std::max_element(
      ranks.begin(), ranks.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (best == ranks.end()) return to;
  return Numbered(best->first.first, best->first.second);
}

}  // namespace remuda::core
