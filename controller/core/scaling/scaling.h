// Scaling: keeps a side of a group at its desired number: launches what is missing, drains what is
// too much, and swaps what is to be replaced, new before old where there is room. Thread: the loop
// thread. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/core/reconcile/pass.h"
#include "controller/core/reconcile/sides.h"

namespace remuda::core {

// Why a side is not at its desired number, for a person.
struct Shortage {
  std::string waiting;   // empty: it is, or is on its way
  bool to_tell = false;  // worth an activity
  // Members of the warm pool whose ends would make room for what finds none.
  std::vector<std::string> pool_frees = {};
};

// One step of the side. `deployment` is the id of the group's deployment, or empty.
Shortage ConvergeSide(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group,
                      const Side& side, std::string_view deployment);

// Commits a new instance of `side` to a host, with an activity. `replaces`: see Instance.replaces.
struct NewInstance {
  std::string host;
  std::string cause;
  std::string deployment = "";
  std::string replaces = "";
  std::string launched_for = "";  // see Instance.launched_for
  bool is_warm = false;           // for the warm pool
};
void LaunchOne(Pass& pass, const std::string& group_id, const Side& side,
               const v1::LaunchTemplateVersion& launch, const NewInstance& wish);

// Whether an instance of a lost host no longer counts: it has been Unknown for the patience, and
// its host was not lost together with most others.
bool IsWrittenOff(Pass& pass, const v1::Instance& instance);

}  // namespace remuda::core
