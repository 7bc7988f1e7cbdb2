// Sides: a group's instances sorted into the parts that are each kept at a number of their own.
// Thread: the loop thread. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/core/model/capacity.h"
#include "controller/core/model/draft.h"

namespace remuda::core {

using Member = InstanceList::value_type;

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
  InstanceList members = {};     // not terminated, and not apart (instance_state.h)
};

// One side without a deployment, two with one: the old, then the new. One more, with nothing
// desired, if there are instances that a deployment which has ended had kept traffic from.
//
// The new side is all that runs the deployment's version. What of it served before keeps its share
// and counts for the old side's number, until the traffic moves; if the deployment gives up before
// that, it belongs to what stays.
std::vector<Side> SidesOf(const Draft& draft, std::string_view id,
                          const v1::AutoScalingGroup& group, const v1::Deployment* deployment);

}  // namespace remuda::core
