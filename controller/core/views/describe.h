// Describe: the output-only fields that are computed when they are read, never committed. Thread:
// the loop thread. Pure.
#pragma once

#include <functional>
#include <string>

#include "controller/core/model/draft.h"
#include "controller/core/model/observations.h"
#include "controller/core/reconcile/gates.h"

namespace remuda::core {

// With waiting, old_side, new_side and deadline_time.
v1::Deployment Describe(const Draft& draft, const Observations& seen, Time now,
                        const v1::Deployment& deployment);

// With the counts, versions and warnings of status, the deployment under way, and in `waiting` also
// why instances do not become healthy, and what keeps the store from committing.
v1::AutoScalingGroup Describe(const Draft& draft, const Observations& seen, Time now,
                              const v1::AutoScalingGroup& group);
// The same for one of many: `gates` answers the gates of this moment, which cost a look at
// everything, and is asked only if there is something to explain. Empty: nothing is explained.
using GatesNow = std::function<const Gates&()>;
v1::AutoScalingGroup Describe(const Draft& draft, const Observations& seen, const GatesNow& gates,
                              const v1::AutoScalingGroup& group);

// With the listeners that live proxies cannot open.
v1::LoadBalancer Describe(const Draft& draft, const Observations& seen, Time now,
                          const v1::LoadBalancer& balancer);

}  // namespace remuda::core
