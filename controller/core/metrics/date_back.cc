#include "controller/core/metrics/date_back.h"

#include <algorithm>

namespace remuda::core {

void DateBack(GroupMetrics& metrics, Time now) {
  const auto bound = [now](Time& time) { time = std::min(time, now); };
  for (auto& [group, history] : metrics.histories) {
    while (!history.points.empty() && history.points.back().time > now) history.points.pop_back();
    bound(history.last_request);
  }
  for (auto& [id, value] : metrics.custom) bound(value.time);
  for (auto& [id, value] : metrics.queried) bound(value.time);
  for (auto& [target_group, time] : metrics.wakes) bound(time);
  for (auto& [group, kept] : metrics.evaluations) {
    kept.memories.clear();
    kept.wanted.reset();
    bound(kept.time);
    bound(kept.point);
  }
}

}  // namespace remuda::core
