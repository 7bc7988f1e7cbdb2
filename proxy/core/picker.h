// Which target takes a request: subsets by exact shares, the group's algorithm inside, fail open
// when too few are healthy. Runs on a worker; no I/O, no allocation unless a change of the targets
// is taken up.
#pragma once

#include <cstddef>
#include <span>

#include "proxy/core/routing_table.h"
#include "proxy/core/target_state.h"

namespace remuda::proxy {

// Targets that a request has tried; the next attempt goes elsewhere.
inline constexpr size_t kMaxAttempts = 3;

// What a pick depends on beside the group.
struct PickRequest {
  size_t worker = 0;  // index of the worker that asks
  SteadyTime now = {};
  uint64_t random = 0;                       // any 64 random bits
  std::span<TargetState* const> tried = {};  // at most kMaxAttempts
  bool allow_tried = false;                  // one of `tried` again if there is no other
  uint64_t hash = 0;                         // of the key, for CONSISTENT_HASH
  bool has_hash = false;                     // without a key requests are spread in turn
  uint64_t sticky_target = 0;  // hash of the id of the one that the client stays with; 0: none
  uint64_t preview = 0;        // the subset that it asks for (FindPreview); 0: none
};

struct Picked {
  TargetState* target = nullptr;    // null: there is none
  bool is_fail_open = false;        // too few are healthy
  InLoad in_load = InLoad::kNever;  // for TargetState::Begin
  bool is_full = false;             // there are targets that it may take, but none has a place
  SubsetState* subset = nullptr;    // of the target; lives as long as the worker's table
};

// Makes `group` the one that `worker` picks from, in place of the one before, which still exists.
// On the worker's thread.
void AdoptGroup(size_t worker, const TargetGroup& group);

// Whether what may be picked changed since this worker's lists were made, and making them again.
// PickTarget does it by itself; callers that measure the time do it before.
bool IsPickerStale(GroupState& group, const PickRequest& request);
void RefreshPicker(GroupState& group, const PickRequest& request);

// Picks a target of `group` for one request. The caller counts the request in flight at once.
//
// Order: active healthy targets of subsets that have a weight. If those are fewer than the group's
// minimum, fail open: all active ones of these subsets that have passed a check once; if there is
// none either, those that never have and may not listen yet, but none of these where requests wait
// for a first target (HoldSpec). Of these the one that the client stays
// with, if it was not tried and has a place; if not, another one of its subset. Never a draining or
// removed one nor one whose process is said to be gone, never a subset of weight 0.
//
// Before all this, one that asks for a subset gets a healthy target of that one, which is not tried
// and has a place, whatever subset and target weigh.
//
// Which subset: the first attempt of a request takes a turn of its group, which all workers share
// (SmoothShares), whatever the number of a subset's targets; what has none that may be picked has
// no turns. Those who stay with a target take none. Nor do repeats, and what finds all of its
// subset tried or full: they are drawn by weight, so that first attempts stay exact.
Picked PickTarget(GroupState& group, const PickRequest& request);

// A target for a copy of a request that has gone to one of subset `taken_by`: a healthy one of the
// mirror's subset that has a place. None if the request is of that subset itself, or it is not its
// turn to be copied: so many of those that this is asked for are as the mirror says, over all
// workers, as with shares. Nothing is taken: the copy counts nowhere.
Picked PickMirror(GroupState& group, const PickRequest& request, const SubsetState* taken_by);

// Whether a pick could take a target that is not in `request.tried`, now or when it has a place.
bool HasUntried(GroupState& group, const PickRequest& request);

}  // namespace remuda::proxy
