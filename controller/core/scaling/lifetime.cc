#include "controller/core/scaling/lifetime.h"

#include <algorithm>
#include <utility>

#include "controller/core/model/capacity.h"
#include "controller/core/model/instance_state.h"

namespace remuda::core {

Time AgedAt(const v1::AutoScalingGroup& group, const v1::Instance& row) {
  const Duration lifetime = FromProto(group.max_instance_lifetime());
  if (lifetime <= absl::ZeroDuration()) return absl::InfiniteFuture();
  for (const auto process : {v1::SCALING_PROCESS_INSTANCE_REFRESH, v1::SCALING_PROCESS_LAUNCH,
                             v1::SCALING_PROCESS_TERMINATE}) {
    if (IsSuspended(group, process)) return absl::InfiniteFuture();
  }
  return FromProto(row.create_time()) + lifetime;
}

std::string OverAged(Pass& pass, const v1::AutoScalingGroup& group, const Side& side,
                     std::string_view deployment) {
  if (!deployment.empty() || group.deleting()) return "";
  std::pair<Time, std::string> oldest = {absl::InfiniteFuture(), ""};
  for (const auto& [id, row] : side.members) {
    if (row->state() != v1::INSTANCE_STATE_IN_SERVICE || row->unhealthy() || IsProtected(*row) ||
        row->terminate_requested()) {
      continue;
    }
    oldest = std::min(oldest, {AgedAt(group, *row), id});
  }
  pass.DueAt(oldest.first);
  return pass.now >= oldest.first ? oldest.second : "";
}

}  // namespace remuda::core
