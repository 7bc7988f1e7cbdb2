#include "cli/group_size.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "cli/cell_text.h"
#include "cli/table_layout.h"
#include "common/duration_text.h"
#include "common/words.h"

namespace remuda::cli {
namespace {

bool IsDesiredByPolicy(const v1::AutoScalingGroup& group) {
  return !group.capacity().set_by().empty();
}

std::string BoundsText(const v1::AutoScalingGroup& group) {
  const GroupSize size = SizeOf(group);
  std::string text = absl::StrCat("min ", size.min, ", max ", size.max);
  if (group.capacity().has_min() || group.capacity().has_max()) {
    absl::StrAppend(&text, ", set by a scheduled policy (a person wrote ", group.min(), " and ",
                    group.max(), ")");
  }
  return text;
}

std::string WantedText(const v1::AutoScalingGroup& group, const google::protobuf::Timestamp& now) {
  const auto& capacity = group.capacity();
  const int desired = SizeOf(group).desired;
  std::string text =
      absl::StrCat(Counted(desired, "instance"), desired == 1 ? " is" : " are", " wanted");
  if (!group.has_capacity()) return text;
  const bool is_by_policy = IsDesiredByPolicy(group);
  // A cause says itself that it was a person.
  absl::StrAppend(&text, is_by_policy ? absl::StrCat(", set by policy ", capacity.set_by())
                         : capacity.cause().empty() ? ", set by a person"
                                                    : ", set");
  if (capacity.has_set_time())
    absl::StrAppend(&text, " ", FormatAge(capacity.set_time(), now), " ago");
  if (is_by_policy && group.has_desired() && group.desired() != desired)
    absl::StrAppend(&text, " (a person wrote ", group.desired(), ")");
  if (!capacity.cause().empty()) absl::StrAppend(&text, ": ", capacity.cause());
  return text;
}

std::string HookText(const v1::LifecycleHook& hook) {
  const bool is_launch = hook.transition() == v1::LifecycleHook::TRANSITION_LAUNCHING;
  std::string text =
      absl::StrCat("hook ", hook.name(), " holds instances that ", is_launch ? "launch" : "end");
  if (hook.has_heartbeat_timeout())
    absl::StrAppend(&text, ", for ", FormatDuration(hook.heartbeat_timeout()), ", then ",
                    EnumText(hook.default_result()));
  return text;
}

std::string PoolText(const v1::AutoScalingGroup& group) {
  const v1::WarmPool& pool = group.warm_pool();
  std::string text = absl::StrCat("warm pool: ", group.status().warm(), " of at least ",
                                  pool.min_size(), ", ", EnumText(pool.state()));
  if (pool.has_max_prepared())
    absl::StrAppend(&text, ", with the group's at most ", pool.max_prepared());
  if (pool.reuse_on_scale_in()) absl::StrAppend(&text, ", refilled by scale-in");
  return text;
}

}  // namespace

GroupSize SizeOf(const v1::AutoScalingGroup& group) {
  const auto& capacity = group.capacity();
  return {.min = capacity.has_min() ? capacity.min() : group.min(),
          .desired = group.has_capacity() ? capacity.desired() : group.desired(),
          .max = capacity.has_max() ? capacity.max() : group.max()};
}

std::string SizeText(const v1::AutoScalingGroup& group) {
  const GroupSize size = SizeOf(group);
  const auto mark = [](bool is_by_policy) { return is_by_policy ? "*" : ""; };
  return absl::StrCat(size.min, mark(group.capacity().has_min()), "/", size.desired,
                      mark(IsDesiredByPolicy(group)), "/", size.max,
                      mark(group.capacity().has_max()));
}

std::string SuspendedText(const v1::AutoScalingGroup& group) {
  return absl::StrJoin(group.suspended_processes(), ", ",
                       [](std::string* out, const v1::SuspendedProcess& suspended) {
                         absl::StrAppend(out, EnumText(suspended.process()));
                         if (!suspended.reason().empty())
                           absl::StrAppend(out, " (", suspended.reason(), ")");
                       });
}

std::vector<std::string> SizeLines(const v1::AutoScalingGroup& group,
                                   const google::protobuf::Timestamp& now) {
  std::vector<std::string> lines = {WantedText(group, now), BoundsText(group)};
  const auto& status = group.status();
  if (!status.scaling().empty()) lines.push_back(absl::StrCat("policies: ", status.scaling()));
  if (status.standby() > 0)
    lines.push_back(absl::StrCat(Counted(status.standby(), "instance"),
                                 status.standby() == 1 ? " stands by" : " stand by"));
  if (group.has_warm_pool()) lines.push_back(PoolText(group));
  for (const v1::LifecycleHook& hook : group.lifecycle_hooks()) lines.push_back(HookText(hook));
  if (group.suspended_processes_size() > 0)
    lines.push_back(absl::StrCat("suspended: ", SuspendedText(group)));
  if (group.has_from_zero()) {
    lines.push_back(absl::StrCat("rests at none after ",
                                 FormatDuration(group.from_zero().idle_after()),
                                 " without a request, and wakes to ", group.from_zero().wake_to()));
  }
  if (group.max_instance_lifetime().seconds() > 0) {
    lines.push_back(absl::StrCat("instances are replaced after ",
                                 FormatDuration(group.max_instance_lifetime())));
  }
  if (group.protect_new_instances())
    lines.emplace_back("new instances are protected from scale-in");
  return lines;
}

std::string ProtectedText(const v1::Instance& instance) {
  if (instance.protected_from_scale_in()) return "yes";
  return instance.app_protected() ? "app" : "-";
}

std::string HooksText(const v1::Instance& instance) {
  return OrDash(absl::StrJoin(instance.lifecycle_actions(), ",",
                              [](std::string* out, const v1::LifecycleAction& action) {
                                absl::StrAppend(out, action.hook());
                              }));
}

}  // namespace remuda::cli
