// Members: a group's instances sorted into what the steps of Reconcile ask about, and the sides
// that a deployment gives it. Thread: the loop thread. Pure.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/draft.h"
#include "controller/core/reconcile_pass.h"

namespace remuda::core {

using Member = InstanceList::value_type;

// The deployment of the group that has not ended; null if there is none. `id` (may be null) gets
// its id.
std::shared_ptr<const v1::Deployment> ActiveDeployment(const Draft& draft, std::string_view group,
                                                       std::string* id);

bool IsSame(const v1::LaunchTemplateRef& a, const v1::LaunchTemplateRef& b);

// "shop:2".
std::string TextOf(const v1::LaunchTemplateRef& ref);

// Whether it counts towards desired: on the way up, in service or standing by. Not if its host is
// lost.
bool IsUp(v1::InstanceState state);
// Whether it is on its way out or gone.
bool IsLeavingState(v1::InstanceState state);

// The instances of one version (of a deployment) or all (without one), and how many there shall be.
struct Side {
  v1::LaunchTemplateRef launch;  // what new ones run
  int desired = 0;
  bool is_new = false;   // the new side of a deployment
  InstanceList members;  // not terminated
};

// `desired` within min..max; 0 for a group that is being deleted.
int DesiredOf(const v1::AutoScalingGroup& group);

// Versions of rolled back deployments whose instances may still be there though another deployment
// has taken over: they never served.
class Leftovers {
 public:
  Leftovers(const Draft& draft, std::string_view group);
  // Whether the instance was launched by one of them, and for nothing else (`deployment`, may be
  // null, is the one under way).
  bool Has(const v1::Instance& instance, const v1::AutoScalingGroup& group,
           const v1::Deployment* deployment) const;

 private:
  std::vector<std::shared_ptr<const v1::Deployment>> rolled_back_;
};

// One side without a deployment, two with one: the old, then the new. One more, with nothing
// desired, if there are leftovers.
std::vector<Side> SidesOf(const Draft& draft, std::string_view id,
                          const v1::AutoScalingGroup& group, const v1::Deployment* deployment);

// Whether it served long enough to show that its version can be launched.
bool WasStable(const v1::Instance& instance, Time now);

// Whether its launch has failed: it ended, or is to end, for a fault of its own before it was
// stable.
bool IsFailedLaunch(const v1::Instance& instance, Time now);

// Launches of one version that failed since the last good one: computed from the terminated
// instances, so that no crash forgets it. Several that were under way on one host at once count as
// one: it may be the host's fault.
struct LaunchRecord {
  int failures = 0;
  Time retry_at = absl::InfinitePast();
  std::string last_cause;
};
LaunchRecord LaunchRecordOf(const InstanceList& all, const v1::LaunchTemplateRef& launch, Time now);

}  // namespace remuda::core
