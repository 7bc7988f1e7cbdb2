#include "controller/core/door/lifecycle_settings.h"

#include <absl/strings/str_cat.h>

#include <set>
#include <string>

#include "controller/core/model/lifecycle_limits.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"
#include "controller/core/model/time.h"

namespace remuda::core {
namespace {

constexpr Duration kHeartbeatTimeout = absl::Seconds(3600);

void CheckHook(Violations& out, const FieldPath& at, const v1::LifecycleHook& hook) {
  if (!IsValidId(hook.name())) {
    out.Add(at / "name", absl::StrCat(Quoted(hook.name()), " ", limits::kIdRule));
  }
  if (hook.transition() != v1::LifecycleHook::TRANSITION_LAUNCHING &&
      hook.transition() != v1::LifecycleHook::TRANSITION_TERMINATING) {
    out.Add(at / "transition", "must be LAUNCHING or TERMINATING");
  }
  CheckDuration(out, at / "heartbeat_timeout", hook.heartbeat_timeout(), limits::kMinHookTimeout,
                limits::kMaxHookTimeout);
  CheckKnown(out, at / "default_result", hook.default_result(), "CONTINUE or ABANDON");
  CheckText(out, at / "notification_metadata", hook.notification_metadata(),
            limits::kHookMetadataBytes);
}

void CheckPool(Violations& out, const FieldPath& at, const v1::WarmPool& pool) {
  CheckRange(out, at / "min_size", pool.min_size(), 0, limits::kGroupInstances);
  if (pool.has_max_prepared()) {
    CheckRange(out, at / "max_prepared", pool.max_prepared(), 0, limits::kGroupInstances);
  }
  CheckKnown(out, at / "state", pool.state(), "STOPPED or RUNNING");
}

}  // namespace

void ApplyLifecycleDefaults(v1::AutoScalingGroup& value) {
  for (v1::LifecycleHook& hook : *value.mutable_lifecycle_hooks()) {
    if (!hook.has_heartbeat_timeout()) {
      *hook.mutable_heartbeat_timeout() = ToProto(kHeartbeatTimeout);
    }
    if (hook.default_result() == v1::LIFECYCLE_ACTION_RESULT_UNSPECIFIED) {
      hook.set_default_result(v1::LIFECYCLE_ACTION_RESULT_ABANDON);
    }
  }
  if (value.has_warm_pool() && value.warm_pool().state() == v1::WarmPool::STATE_UNSPECIFIED) {
    value.mutable_warm_pool()->set_state(v1::WarmPool::STATE_STOPPED);
  }
}

void CheckLifecycle(Violations& out, const FieldPath& at, const v1::AutoScalingGroup& value) {
  const FieldPath hooks_at = at / "lifecycle_hooks";
  CheckCount(out, hooks_at, value.lifecycle_hooks_size(), 0, limits::kHooksAnAsg);
  std::set<std::string> names;
  for (int i = 0; i < value.lifecycle_hooks_size(); ++i) {
    const v1::LifecycleHook& hook = value.lifecycle_hooks(i);
    CheckHook(out, hooks_at[i], hook);
    if (!names.insert(hook.name()).second) {
      out.Add(hooks_at[i] / "name", absl::StrCat(Quoted(hook.name()), " is given twice"));
    }
  }
  if (value.has_warm_pool()) CheckPool(out, at / "warm_pool", value.warm_pool());
  if (value.has_max_instance_lifetime()) {
    const FieldPath field = at / "max_instance_lifetime";
    const bool is_right = CheckDuration(out, field, value.max_instance_lifetime(),
                                        absl::ZeroDuration(), limits::kMaxInstanceLifetime);
    const Duration lifetime = FromProto(value.max_instance_lifetime());
    if (is_right && lifetime > absl::ZeroDuration() && lifetime < limits::kMinInstanceLifetime) {
      out.Add(field, absl::StrCat("must be 0s, or at least ",
                                  absl::FormatDuration(limits::kMinInstanceLifetime)));
    }
  }
}

}  // namespace remuda::core
