// What an instance is to its group, as far as its row says. Pure functions.
#pragma once

#include "remuda/v1/auto_scaling.pb.h"

namespace remuda::core {

// Whether it counts towards desired: on the way up, in service or standing by. Not if its host is
// lost.
bool IsUp(v1::InstanceState state);

// Whether it is on its way out or gone.
bool IsLeavingState(v1::InstanceState state);

// Its state, or that which it had before its host was lost.
v1::InstanceState LifeOf(const v1::Instance& instance);

// Whether it is beside its group's number: it belongs to the warm pool, stands by, or drains to do
// so or to leave its group. It is neither counted nor judged, no deployment moves it, and scale-in
// does not choose it.
bool IsApart(const v1::Instance& instance);

// Whether it drains to run on, not to end.
inline bool DrainsToStay(const v1::Instance& instance) {
  return instance.state() == v1::INSTANCE_STATE_DRAINING && !instance.terminate_requested() &&
         !instance.unhealthy() && (instance.standby_requested() || instance.detach_requested());
}

// Whether scale-in leaves it, by a person's wish or by its app's.
inline bool IsProtected(const v1::Instance& instance) {
  return instance.protected_from_scale_in() || instance.app_protected();
}

// Whether a deployment keeps traffic from it: it is new and not confirmed yet, or old and kept
// warm. This, and no stage, says who serves: so a deployment can begin from whatever serves.
inline bool IsWithheld(const v1::Instance& instance) { return !instance.withheld_by().empty(); }

// Whether it drains to be changed to another version in place: it comes up again as that.
inline bool IsUpdating(const v1::Instance& instance) {
  return instance.has_update_to() && instance.state() == v1::INSTANCE_STATE_DRAINING;
}

// What it runs, or will when it has been changed in place.
inline const v1::LaunchTemplateRef& VersionOf(const v1::Instance& instance) {
  return IsUpdating(instance) ? instance.update_to() : instance.launch_template();
}

// Whether it has a share of the traffic, as far as its row says.
bool IsServing(const v1::Instance& instance);

}  // namespace remuda::core
