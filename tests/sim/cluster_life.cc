// What people and apps do to the lives of instances in the simulated cluster: standby, detach and
// attach, protection, hooks, what is suspended.
#include <absl/strings/str_cat.h>

#include "remuda/v1/lifecycle.pb.h"
#include "tests/sim/cluster.h"

namespace remuda::sim {

using absl::Milliseconds;
using absl::Seconds;

void Cluster::AddHooks(v1::AutoScalingGroup& group) {
  for (const auto transition :
       {v1::LifecycleHook::TRANSITION_LAUNCHING, v1::LifecycleHook::TRANSITION_TERMINATING}) {
    for (int i = random_.Below(3); i > 0; --i) {
      v1::LifecycleHook& hook = *group.add_lifecycle_hooks();
      hook.set_name(absl::StrCat("hook-", group.lifecycle_hooks_size()));
      hook.set_transition(transition);
      *hook.mutable_heartbeat_timeout() = core::ToProto(random_.Between(Seconds(1), Seconds(8)));
      hook.set_default_result(random_.OneIn(6) ? v1::LIFECYCLE_ACTION_RESULT_ABANDON
                                               : v1::LIFECYCLE_ACTION_RESULT_CONTINUE);
    }
  }
}

void Cluster::AddPool(v1::AutoScalingGroup& group) {
  if (random_.OneIn(2)) return;
  v1::WarmPool& pool = *group.mutable_warm_pool();
  pool.set_min_size(random_.Below(2));
  pool.set_max_prepared(1 + random_.Below(4));
  pool.set_state(random_.OneIn(2) ? v1::WarmPool::STATE_STOPPED : v1::WarmPool::STATE_RUNNING);
  pool.set_reuse_on_scale_in(random_.OneIn(2));
}

// A copy: what is asked for changes them at once.
std::vector<std::pair<std::string, std::shared_ptr<const v1::Instance>>> Cluster::Instances()
    const {
  std::vector<std::pair<std::string, std::shared_ptr<const v1::Instance>>> out;
  for (const auto& [id, row] : state_.All<v1::Instance>()) out.emplace_back(id, row.value);
  return out;
}

void Cluster::CompleteHooks() {
  for (const auto& [id, row] : Instances()) {
    if (row->lifecycle_actions().empty()) continue;
    v1::CompleteLifecycleActionRequest request;
    request.set_name("instances/" + id);
    request.set_hook(row->lifecycle_actions(0).hook());
    request.set_result(trouble_ && random_.OneIn(4) ? v1::LIFECYCLE_ACTION_RESULT_ABANDON
                                                    : v1::LIFECYCLE_ACTION_RESULT_CONTINUE);
    if (!trouble_ || random_.OneIn(2)) {
      Ask(request);
      continue;
    }
    v1::RecordLifecycleActionHeartbeatRequest beat;
    beat.set_name(request.name());
    beat.set_hook(request.hook());
    Ask(beat);
  }
}

void Cluster::SetAside() {
  const std::string name = "instances/" + AnyInstance();
  if (random_.OneIn(2)) {
    v1::EnterStandbyRequest enter;
    enter.set_name(name);
    enter.set_decrement_desired(random_.OneIn(2));
    Ask(enter);
    v1::ExitStandbyRequest exit;
    exit.set_name(name);
    scheduler_.After(random_.Between(Milliseconds(1), Seconds(15)), [this, exit] { Ask(exit); });
    return;
  }
  v1::DetachInstanceRequest detach;
  detach.set_name(name);
  detach.set_decrement_desired(random_.OneIn(2));
  Ask(detach);
  v1::AttachInstanceRequest attach;
  attach.set_name(name);
  attach.set_auto_scaling_group("blue");
  scheduler_.After(random_.Between(Milliseconds(1), Seconds(15)), [this, attach] { Ask(attach); });
}

void Cluster::OperateLife() {
  switch (random_.Below(6)) {
    case 0:
    case 1:
      return SetAside();
    case 2:
    case 3:
      return CompleteHooks();
    case 4: {
      v1::SetInstanceProtectionRequest request;
      request.set_name("instances/" + AnyInstance());
      request.set_protected_from_scale_in(random_.OneIn(2));
      return Ask(request);
    }
    default: {
      v1::SuspendProcessesRequest request;
      request.set_name("autoScalingGroups/blue");
      request.add_processes(static_cast<v1::ScalingProcess>(
          1 + random_.Below(v1::SCALING_PROCESS_SCHEDULED_ACTIONS)));
      Ask(request);
      v1::ResumeProcessesRequest resume;
      resume.set_name(request.name());
      scheduler_.After(random_.Between(Seconds(1), Seconds(10)), [this, resume] { Ask(resume); });
      return;
    }
  }
}

// What is aside ends, what is held goes on, and nothing is suspended or protected any more.
void Cluster::EndLife() {
  scheduler_.After(Milliseconds(300), [this] { EndLife(); });
  v1::ResumeProcessesRequest resume;
  resume.set_name("autoScalingGroups/blue");
  Ask(resume);
  CompleteHooks();
  for (const auto& [id, row] : Instances()) {
    if (row->state() == v1::INSTANCE_STATE_STANDBY) {
      v1::TerminateInstanceRequest request;
      request.set_name("instances/" + id);
      Ask(request);
    }
    if (!row->protected_from_scale_in()) continue;
    v1::SetInstanceProtectionRequest request;
    request.set_name("instances/" + id);
    Ask(request);
  }
}

}  // namespace remuda::sim
