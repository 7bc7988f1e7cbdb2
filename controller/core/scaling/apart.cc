#include "controller/core/scaling/apart.h"

#include "controller/core/model/instance_state.h"

namespace remuda::core {

void StayApart(Pass& pass, const std::string& id, const v1::Instance& row) {
  v1::Instance after = row;
  const bool leaves = row.detach_requested();
  after.clear_standby_requested();
  after.clear_detach_requested();
  after.clear_drain_confirmed_time();
  // What deployments and the group's number wanted of it is over.
  after.clear_withheld_by();
  after.clear_replaces();
  if (leaves) {
    after.clear_auto_scaling_group();
    after.clear_protected_from_scale_in();
    after.clear_app_protected();
  }
  pass.Close(after.activity(), v1::ACTIVITY_STATUS_SUCCESSFUL);
  after.clear_activity();
  pass.draft.Put(id, std::move(after));
  pass.Move(id, v1::INSTANCE_STATE_STANDBY,
            leaves ? "it was detached from its group" : row.state_reason());
}

void EndApart(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group) {
  if (!group.deleting()) return;
  for (const auto& [id, row] : pass.draft.InstancesOfGroup(group_id)) {
    if (LifeOf(*row) == v1::INSTANCE_STATE_STANDBY) {
      pass.Drain(id, "the group is being deleted", false);
    }
  }
}

}  // namespace remuda::core
