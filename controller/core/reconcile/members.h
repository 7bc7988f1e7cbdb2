// Members: a group's instances sorted into what the steps of Reconcile ask about, and the sides
// that a deployment gives it. Thread: the loop thread. Pure.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/model/draft.h"
#include "controller/core/reconcile/reconcile_pass.h"

namespace remuda::core {

using Member = InstanceList::value_type;

// Whether a deployment in this phase is over.
bool HasEnded(v1::DeploymentPhase phase);

// The deployment of the group that has not ended; null if there is none. `id` (may be null) gets
// its id.
std::shared_ptr<const v1::Deployment> ActiveDeployment(const Draft& draft, std::string_view group,
                                                       std::string* id);

// Ids of all deployments of the group.
std::vector<std::string> DeploymentsOf(const Draft& draft, std::string_view group);

bool IsSame(const v1::LaunchTemplateRef& a, const v1::LaunchTemplateRef& b);

// Whether it only ends another deployment: nothing but its version serves, so it moves no traffic.
// It has ended once every live proxy finds its instances healthy, and if it fails, all stays.
bool IsBackToServing(const v1::Deployment& deployment);

// "shop:2".
std::string TextOf(const v1::LaunchTemplateRef& ref);

// Whether it counts towards desired: on the way up, in service or standing by. Not if its host is
// lost.
bool IsUp(v1::InstanceState state);
// Whether it is on its way out or gone.
bool IsLeavingState(v1::InstanceState state);

// The part after the collection: "blue-3" of "deployments/blue-3".
std::string ShortNameOf(std::string_view name);

// Whether a deployment keeps traffic from it: it is new and not confirmed yet, or old and kept
// warm. This, and no phase, says who serves: so a deployment can begin from whatever serves.
inline bool IsWithheld(const v1::Instance& instance) { return !instance.withheld_by().empty(); }

// Whether it has a share of the traffic, as far as its row says.
bool IsServing(const v1::Instance& instance);

// Whether a person drains its host.
bool IsOnDrainedHost(const Draft& draft, const v1::Instance& instance);

// A part of a group that is kept at a number of its own: all of it without a deployment, or what a
// deployment moves from or to.
struct Side {
  v1::LaunchTemplateRef launch;  // what new ones run; members may run others
  int desired = 0;
  // What is above is drained. Beyond `desired` are those that may be needed until others serve.
  int limit = 0;
  bool is_new = false;           // what a deployment moves to
  std::string deployment = {};   // that launches for this side; empty if none does
  std::string withheld_by = {};  // of new ones
  InstanceList members = {};     // not terminated
};

// `desired` within min..max; 0 for a group that is being deleted.
int DesiredOf(const v1::AutoScalingGroup& group);

// Whether the phase gives the traffic to the new side.
bool ServesNewSide(v1::DeploymentPhase phase);

// One side without a deployment, two with one: the old, then the new. One more, with nothing
// desired, if there are instances that a deployment which has ended had kept traffic from.
//
// The new side is all that runs the deployment's version. What of it served before keeps its share
// and counts for the old side's number, until the traffic moves; if the deployment gives up before
// that, it belongs to what stays.
std::vector<Side> SidesOf(const Draft& draft, std::string_view id,
                          const v1::AutoScalingGroup& group, const v1::Deployment* deployment);

// Whether it served long enough to show that its version can be launched.
bool WasStable(const v1::Instance& instance, Time now);

// Whether its launch has failed: it ended, or is to end, for a fault of its own before it was
// stable.
bool IsFailedLaunch(const v1::Instance& instance, Time now);

// The version other than `to` of which most instances serve; the group's, or one that runs, if none
// does. `to` itself if nothing but it runs and the group's is it.
v1::LaunchTemplateRef RunsBeside(const Draft& draft, std::string_view id,
                                 const v1::AutoScalingGroup& group,
                                 const v1::LaunchTemplateRef& to);

// Launches of one version that failed since the last good one: computed from the terminated
// instances, so that no crash forgets it. Only those of the deployment, if one is given: a version
// that failed before may have been mended from outside. Several that were under way on one host at
// once count as one: it may be the host's fault.
struct LaunchRecord {
  int failures = 0;
  Time retry_at = absl::InfinitePast();
  std::string last_instance;  // the last that failed
  std::string last_cause;
};
LaunchRecord LaunchRecordOf(const InstanceList& all, const v1::LaunchTemplateRef& launch,
                            std::string_view deployment, Time now);

// "2 launches of shop:2 failed in a row; the last, i-7: its process exited with code 1". For a
// record with failures.
std::string FailuresText(const LaunchRecord& record, const v1::LaunchTemplateRef& launch);

}  // namespace remuda::core
