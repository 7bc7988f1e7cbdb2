#include "controller/core/deployment/replacement.h"

#include <algorithm>

#include "controller/core/model/deployment_row.h"

namespace remuda::core {
namespace {

constexpr int kAllOf = 100;

// What is kept of the other side at the end of the step.
int Rest(const ReplaceBounds& bounds, const ReplaceProgress& now) {
  return std::max(0, now.desired - std::max(bounds.target, std::min(now.ready, now.desired)));
}

}  // namespace

ReplaceBounds BoundsOf(const v1::ReplaceStep& step, int desired) {
  ReplaceBounds out;
  out.target = PercentOf(step.has_percent() ? step.percent() : kAllOf, desired);
  out.floor = std::min(desired, PercentOf(step.min_healthy_percent(), desired));
  if (step.terminate_first()) {
    out.ceiling = desired;
    out.floor = std::min(out.floor, std::max(0, desired - 1));
  } else {
    out.ceiling = std::max(desired + 1, step.max_percent() * desired / kAllOf);
  }
  return out;
}

ReplaceBounds BoundsOf(const v1::UpdateStep& step, int desired) {
  ReplaceBounds out;
  out.target = PercentOf(step.has_percent() ? step.percent() : kAllOf, desired);
  out.floor = std::min(PercentOf(step.min_healthy_percent(), desired), std::max(0, desired - 1));
  out.ceiling = desired;
  return out;
}

ReplaceNumbers Replace(const ReplaceBounds& bounds, const ReplaceProgress& now, ReplaceMode mode) {
  ReplaceNumbers out{.coming = now.coming, .staying = now.staying};
  if (!now.has_begun) out = {.coming = std::min(now.came, now.desired), .staying = now.left};
  const int ready = std::min(now.ready, now.desired);
  if (mode == ReplaceMode::kBake) {
    out.coming = std::min(out.coming, now.desired);
    return out;
  }
  if (mode == ReplaceMode::kRest) {
    out.coming = std::min(std::max(out.coming, now.came), now.desired);
    out.staying = std::min(std::max(out.staying, now.desired - out.coming), now.desired - ready);
    return out;
  }
  // The floor holds while the others are drained; what is gone of them is not launched again.
  const int needed = std::max(0, bounds.floor - ready);
  // None is launched of them that those on their way up make one too many.
  const int kept = std::min(Rest(bounds, now), std::max(now.left, now.desired - now.came));
  out.staying = std::max(kept, std::min(needed, now.left));
  // Those that are kept are launched anew where they fail.
  const int others = now.left_alive + std::max(0, out.staying - now.left);
  const int room = bounds.ceiling - others - now.leaving;
  const int most = std::max(bounds.target, ready);
  out.coming = std::clamp(room, std::min(now.came, most), most);
  return out;
}

bool IsReplaced(const ReplaceBounds& bounds, const ReplaceProgress& now) {
  return now.ready >= bounds.target && now.left_alive <= Rest(bounds, now);
}

ReplaceNumbers UpdateNumbers(const ReplaceBounds& bounds, const ReplaceProgress& now) {
  ReplaceNumbers out;
  // What is missing of the other side comes with the new version.
  const int missing = std::max(0, now.desired - now.left);
  const int most = std::max(bounds.target, std::min(now.came, now.desired));
  out.coming = std::clamp(missing, std::min(now.came, most), most);
  // Where more are there than are desired, none of them goes before what was changed serves.
  const int needed = std::min(bounds.floor - now.ready, now.left);
  out.staying = std::max({0, now.desired - out.coming, needed});
  return out;
}

int BatchToUpdate(const ReplaceBounds& bounds, const ReplaceProgress& now, int healthy) {
  const int spare = healthy + now.ready - bounds.floor;
  return std::max(0, std::min(spare, bounds.target - now.came));
}

}  // namespace remuda::core
