// Which of a forward action's weighted groups takes a request. No I/O.
#pragma once

#include <cstdint>
#include <vector>

#include "proxy/core/routing_table.h"

namespace remuda::proxy {

// Sets `turns` and `taken` of an action whose groups are set.
void PlanTurns(ForwardAction& action);

// Says with which of their turns the actions of `balancer` begin.
void BeginTurns(uint64_t random, LoadBalancer& balancer);

// The group whose turn it is; null if none has a weight. Any thread: the workers share the turns,
// so that over each cycle of the weights' sum (divided by what divides all of them) the groups get
// exactly their weights over the whole proxy. Costs one contended add, and only where several
// groups have a weight.
GroupState* PickGroup(const ForwardAction& action);

// Lets each action of `now` whose listener, priority, groups and weights are as in `before` go on
// where that one is, so that a change of something else does not disturb the shares.
void KeepTurns(const LoadBalancer& before, LoadBalancer& now);

}  // namespace remuda::proxy
