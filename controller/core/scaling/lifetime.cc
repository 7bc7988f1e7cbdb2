#include "controller/core/scaling/lifetime.h"

#include <algorithm>
#include <utility>

#include "controller/core/model/capacity.h"
#include "controller/core/model/instance_state.h"

namespace remuda::core {

std::string OverAged(Pass& pass, const v1::AutoScalingGroup& group, const Side& side,
                     std::string_view deployment) {
  const Duration lifetime = FromProto(group.max_instance_lifetime());
  if (lifetime <= absl::ZeroDuration() || !deployment.empty() || group.deleting()) return "";
  for (const auto process : {v1::SCALING_PROCESS_INSTANCE_REFRESH, v1::SCALING_PROCESS_LAUNCH,
                             v1::SCALING_PROCESS_TERMINATE}) {
    if (IsSuspended(group, process)) return "";
  }
  std::pair<Time, std::string> oldest = {absl::InfiniteFuture(), ""};
  for (const auto& [id, row] : side.members) {
    if (row->state() != v1::INSTANCE_STATE_IN_SERVICE || row->unhealthy() || IsProtected(*row) ||
        row->terminate_requested()) {
      continue;
    }
    oldest = std::min(oldest, {FromProto(row->create_time()), id});
  }
  if (oldest.second.empty()) return "";
  pass.DueAt(oldest.first + lifetime);
  return pass.now >= oldest.first + lifetime ? oldest.second : "";
}

}  // namespace remuda::core
