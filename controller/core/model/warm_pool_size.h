// How many a group's warm pool is to have, and as what. Pure functions of the row.
#pragma once

#include <algorithm>
#include <cstddef>

#include "controller/core/model/capacity.h"
#include "controller/core/model/limits.h"

namespace remuda::core {

// 0: the group has none, or is being deleted.
inline size_t PoolSizeOf(const v1::AutoScalingGroup& group) {
  if (group.deleting() || !group.has_warm_pool()) return 0;
  const v1::WarmPool& pool = group.warm_pool();
  const int prepared = pool.has_max_prepared() ? pool.max_prepared() : MaxOf(group);
  const int size = std::max(pool.min_size(), prepared - DesiredOf(group));
  return static_cast<size_t>(std::clamp(size, 0, limits::kGroupInstances));
}

// Whether no processes run in the pool.
inline bool HasStoppedPool(const v1::AutoScalingGroup& group) {
  return group.has_warm_pool() && group.warm_pool().state() != v1::WarmPool::STATE_RUNNING;
}

}  // namespace remuda::core
