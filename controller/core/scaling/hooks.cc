#include "controller/core/scaling/hooks.h"

#include <absl/strings/str_cat.h>

#include "controller/core/model/instance_state.h"
#include "controller/core/model/lifecycle_hooks.h"
#include "controller/core/reconcile/health.h"
#include "controller/core/scaling/ending.h"

namespace remuda::core {
namespace {

// Takes out of the row the actions whose time is over. The hook that is abandoned by it; empty if
// none is. A hook that the group has no more holds nobody.
std::string Expire(Pass& pass, const v1::AutoScalingGroup& group, v1::Instance& row) {
  std::string abandoned;
  auto& actions = *row.mutable_lifecycle_actions();
  for (int i = actions.size() - 1; i >= 0; --i) {
    const v1::LifecycleHook* hook = FindHook(group, actions[i].hook());
    const Time deadline = FromProto(actions[i].heartbeat_deadline());
    if (hook != nullptr) {
      pass.DueAt(deadline);
      if (pass.now < deadline) continue;
      if (hook->default_result() != v1::LIFECYCLE_ACTION_RESULT_CONTINUE) abandoned = hook->name();
    }
    actions.DeleteSubrange(i, 1);
  }
  return abandoned;
}

// Its process runs: the wait begins.
void Hold(Pass& pass, const std::string& id, const v1::AutoScalingGroup& group,
          const v1::Instance& row, v1::InstanceState state) {
  v1::Instance after = row;
  BeginActions(group, pass.now, after);
  pass.draft.Put(id, std::move(after));
  pass.Move(id, state, row.state_reason());
}

void FollowLaunch(Pass& pass, const std::string& id, const v1::AutoScalingGroup& group,
                  const v1::Instance& row) {
  if (row.unhealthy()) return pass.Drain(id, row.state_reason(), true);  // abandoned by somebody
  v1::Instance after = row;
  const std::string abandoned = Expire(pass, group, after);
  if (!abandoned.empty()) {
    return pass.Drain(
        id, absl::StrCat("hook ", abandoned, " was not completed in time, and abandons it"), true);
  }
  if (!after.lifecycle_actions().empty()) return pass.Put(id, std::move(after));
  after.set_launch_hooks_done(true);
  pass.draft.Put(id, std::move(after));
  pass.Move(id, v1::INSTANCE_STATE_PENDING, row.state_reason());
}

}  // namespace

void FollowLaunchHooks(Pass& pass, const std::string& group_id, const v1::AutoScalingGroup& group) {
  for (const auto& [id, row] : pass.draft.InstancesOfGroup(group_id)) {
    if (row->state() == v1::INSTANCE_STATE_PENDING_WAIT) {
      FollowLaunch(pass, id, group, *row);
    } else if (row->state() == v1::INSTANCE_STATE_PENDING && !row->lifecycle_actions().empty() &&
               row->has_start_time() &&
               ProcessOf(pass.seen, id, *row).process == Process::kRunning) {
      Hold(pass, id, group, *row, v1::INSTANCE_STATE_PENDING_WAIT);
    }
  }
}

bool HoldsEnd(Pass& pass, const std::string& id, const v1::AutoScalingGroup& group) {
  const auto row = pass.draft.Find<v1::Instance>(id);
  // Its process is what could still do something.
  if (group.deleting() || !row->has_start_time()) return false;
  // What never served has nothing to save; held, a launch that fails would be no failure until
  // then.
  if (!row->has_in_service_time()) return false;
  if (ProcessOf(pass.seen, id, *row).process == Process::kEnded) return false;
  v1::Instance after = *row;
  if (!AddTerminatingHooks(group, after)) return false;
  Hold(pass, id, group, after, v1::INSTANCE_STATE_TERMINATING_WAIT);
  return true;
}

void FollowTerminatingHooks(Pass& pass, const std::string& id, const v1::AutoScalingGroup& group,
                            const v1::Instance& row) {
  v1::Instance after = row;
  if (group.deleting() || !Expire(pass, group, after).empty()) after.clear_lifecycle_actions();
  if (!after.lifecycle_actions().empty()) return pass.Put(id, std::move(after));
  // Proxies may have come back since it drained, with what they knew before.
  if (!MayStop(pass, id, group, row)) return;
  pass.draft.Put(id, std::move(after));
  pass.Move(id, v1::INSTANCE_STATE_STOPPING, row.state_reason());
}

}  // namespace remuda::core
