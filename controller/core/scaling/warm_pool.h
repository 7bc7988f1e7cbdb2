// The warm pool: instances that are kept ready beside those in service (EC2 Auto Scaling's user
// guide: "Warm pools"). Members have `in_warm_pool`: PENDING until they are ready, WARM, DRAINING
// on their way back from service. Thread: the loop thread. Pure.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/reconcile/pass.h"
#include "controller/core/reconcile/sides.h"
#include "controller/core/scaling/scaling.h"

namespace remuda::core {

// Members whose files are in place, or whose processes run, are warm from now on; those of which
// neither is so any more are not.
void FollowPool(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group);

// Ends what the pool has too much, or of another version than new instances run, and launches what
// it lacks. Why it lacks some; `waiting` empty: it does not, or they are on their way.
struct PoolWish {
  bool is_settled = true;              // no deployment is under way; else the pool stays as it is
  bool group_lacks_room = false;       // the group itself finds no host: the pool takes none
  std::set<std::string> to_free = {};  // members that make room for it
};
Shortage KeepPool(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group,
                  const PoolWish& wish);

// Warm instances that can be taken into the side, at most so many, best first.
std::vector<std::string> WarmFor(const Pass& pass, const std::string& group_id,
                                 const v1::AutoScalingGroup& group, const Side& side, size_t count);

// Takes a warm one into the side: it comes up as one that is launched does.
void TakeWarm(Pass& pass, const std::string& id, const v1::AutoScalingGroup& group,
              const Side& side, const NewInstance& wish);

// How many of the group may go back into its pool, if it takes any.
size_t PoolRoom(const Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group);

// Nothing is sent any more to a member that drains: it is in the pool again. False: the pool has no
// place for it, and it ends.
bool ReturnsToPool(Pass& pass, const std::string& id, const v1::AutoScalingGroup& group,
                   const v1::Instance& row);

}  // namespace remuda::core
