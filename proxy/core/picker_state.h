// One worker's view of a target group: which targets may be picked now. Owned and touched by that
// worker alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "proxy/core/steady_time.h"
#include "proxy/core/target_pool.h"
#include "proxy/core/wait_queue.h"

namespace remuda::proxy {

struct TargetGroup;

// The shares of a subset's requests that stay in the proxy's own zone are in 1/kWholeZoneShare.
inline constexpr int64_t kWholeZoneShare = 1000;

struct alignas(64) PickerState {
  // Of the table the worker has adopted; null: the group is in no table.
  const TargetGroup* group = nullptr;
  uint64_t serial = 0;                        // of the group that the pools below were made from
  uint64_t version = 0;                       // GroupState::version() they were made at
  SteadyTime recheck_at = SteadyTime::max();  // they are made anew then, whatever the version
  bool is_fail_open = false;

  struct Subset {
    size_t index = 0;  // in TargetGroup::subsets
    int64_t weight = 0;
    int64_t current = 0;      // smooth weighted round robin over the subsets
    uint64_t own_weight = 0;  // of the active ones in the proxy's own zone, healthy or not
    int64_t zone_share = 0;   // of `own`, in 1/kWholeZoneShare
    int64_t zone_current = 0;
    uint64_t passed_in = 0;  // the pick that found nothing usable in it
    TargetPool own;          // in the proxy's own zone; empty unless that is preferred
    TargetPool others;       // all others, or all
    bool empty() const { return own.empty() && others.empty(); }
  };
  std::vector<Subset> subsets;
  uint64_t picks = 0;
  // Those that may be picked, by the hash of their id; empty unless the group is sticky.
  std::vector<std::pair<uint64_t, TargetState*>> by_hash;
  WaitQueue queue;  // for a place at a target
  // Of each member, while the pools are made.
  std::vector<uint8_t> tiers;
  std::vector<Seat> seats;
};

}  // namespace remuda::proxy
