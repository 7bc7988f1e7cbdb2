// One worker's view of a target group: which targets may be picked now. Owned and touched by that
// worker alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "proxy/core/smooth_shares.h"
#include "proxy/core/steady_time.h"
#include "proxy/core/target_pool.h"
#include "proxy/core/wait_queue.h"

namespace remuda::proxy {

class SubsetState;
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
    uint64_t own_weight = 0;  // of the active ones in the proxy's own zone, healthy or not
    int64_t zone_share = 0;   // of `own`, in 1/kWholeZoneShare
    int64_t zone_current = 0;
    SubsetState* counts = nullptr;
    bool is_passed = false;  // by the pick that is under way: it found nothing usable there
    TargetPool own;          // in the proxy's own zone; empty unless that is preferred
    TargetPool others;       // all others, or all
    bool empty() const { return own.empty() && others.empty(); }
  };
  std::vector<Subset> subsets;  // as in TargetGroup::subsets
  // Of those that have a weight and a target that may be picked, by index.
  SmoothShares shares;
  // The healthy targets of a subset that is reached besides its share, whatever they weigh.
  struct Direct {
    uint64_t key = 0;  // SubsetKey
    uint32_t subset = 0;
    TargetPool pool;
  };
  std::vector<Direct> direct;  // as in TargetGroup::direct_subsets
  // A target of a subset that has a weight.
  struct Known {
    uint64_t id_hash = 0;
    TargetState* target = nullptr;  // null: it may not be picked now
    uint32_t subset = 0;
  };
  std::vector<Known> by_hash;  // ascending; empty unless the group is sticky
  WaitQueue queue;             // for a place at a target
  // Of each member, while the pools are made.
  std::vector<uint8_t> tiers;
  std::vector<Seat> seats;
};

}  // namespace remuda::proxy
