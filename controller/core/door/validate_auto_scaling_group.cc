// What an auto scaling group and a deployment may say.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "controller/core/door/lifecycle_settings.h"
#include "controller/core/door/validate_resources.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"

namespace remuda::core {
namespace {

void CheckCapacity(Violations& out, const FieldPath& at, const v1::AutoScalingGroup& value) {
  CheckRange(out, at / "min", value.min(), 0, limits::kGroupInstances);
  CheckRange(out, at / "max", value.max(), 0, limits::kGroupInstances);
  if (value.max() < value.min()) {
    out.Add(at / "max", absl::StrCat(value.max(), " is below min ", value.min()));
  } else if (value.desired() < value.min() || value.desired() > value.max()) {
    out.Add(at / "desired", absl::StrCat(value.desired(), " is not within min ", value.min(),
                                         " and max ", value.max()));
  }
}

void CheckTargetGroups(Violations& out, const FieldPath& at, const References& references,
                       v1::AutoScalingGroup& value) {
  CheckCount(out, at, value.target_groups_size(), 0, limits::kTargetGroupsAnAsg);
  std::set<std::string> seen;
  for (int i = 0; i < value.target_groups_size(); ++i) {
    std::string& group = *value.mutable_target_groups(i);
    if (!NormalizeReference(out, at[i], kTargetGroups, group)) continue;
    const std::string full = FullName(kTargetGroups, group);
    if (!references.Exists<v1::TargetGroup>(full, group)) {
      out.Add(at[i], absl::StrCat("there is no ", full));
    }
    if (!seen.insert(group).second) out.Add(at[i], absl::StrCat(full, " is named twice"));
  }
}

// Each zone text once, and a host in each: a zone that is misspelt would silently get nothing. What
// the group names already stays allowed, for hosts come and go; and before the first host has
// joined nothing can be told.
void CheckZones(Violations& out, const FieldPath& at, const References& references,
                const v1::AutoScalingGroup& value) {
  CheckCount(out, at, value.zones_size(), 0, limits::kZonesAnAsg);
  std::set<std::string> known;
  if (value.zones_size() > 0) {
    references.draft.ForEach<v1::Host>(
        [&](const std::string&, const v1::Host& host) { known.insert(host.zone()); });
  }
  const bool any_host = !known.empty();
  const std::string of_hosts = absl::StrJoin(known, ", ");
  const auto before =
      references.draft.Find<v1::AutoScalingGroup>(value.name().substr(value.name().find('/') + 1));
  if (before != nullptr) known.insert(before->zones().begin(), before->zones().end());
  std::set<std::string> seen;
  for (int i = 0; i < value.zones_size(); ++i) {
    const std::string& zone = value.zones(i);
    if (zone.empty()) out.Add(at[i], "must not be empty");
    CheckText(out, at[i], zone, limits::kZoneBytes);
    if (!seen.insert(zone).second) {
      out.Add(at[i], absl::StrCat(Quoted(zone), " is named twice"));
    } else if (any_host && !zone.empty() && !known.contains(zone)) {
      out.Add(at[i],
              absl::StrCat("no host is in zone ", Quoted(zone), "; zones of hosts: ", of_hosts));
    }
  }
}

void CheckFromZero(Violations& out, const FieldPath& at, const v1::AutoScalingGroup& value) {
  CheckDuration(out, at / "idle_after", value.from_zero().idle_after(), absl::Seconds(1),
                limits::kMaxPolicyTime);
  CheckRange(out, at / "wake_to", value.from_zero().wake_to(), 1, limits::kGroupInstances);
  if (value.from_zero().wake_to() > value.max()) {
    out.Add(at / "wake_to",
            absl::StrCat(value.from_zero().wake_to(), " is above max ", value.max()));
  }
  if (value.min() != 0) {
    out.Add(at, absl::StrCat("needs min 0, not ", value.min(), ": the group would never rest"));
  }
  if (value.target_groups().empty()) {
    out.Add(at, "needs a target group: nothing could wake the group");
  }
}

}  // namespace

void Check(Violations& out, const FieldPath& at, const References& references,
           v1::AutoScalingGroup& value) {
  CheckTemplateRef(out, at / "launch_template", references, *value.mutable_launch_template());
  CheckCapacity(out, at, value);
  CheckZones(out, at / "zones", references, value);
  CheckTargetGroups(out, at / "target_groups", references, value);
  CheckDuration(out, at / "health_check_grace_period", value.health_check_grace_period(),
                absl::ZeroDuration(), limits::kMaxGracePeriod);
  CheckCount(out, at / "termination_policies", value.termination_policies_size(), 0,
             limits::kTerminationPoliciesAnAsg);
  for (int i = 0; i < value.termination_policies_size(); ++i) {
    const int policy = value.termination_policies(i);
    if (!v1::TerminationPolicy_IsValid(policy) || policy == v1::TERMINATION_POLICY_UNSPECIFIED) {
      out.Add((at / "termination_policies")[i],
              absl::StrCat(policy, " is not a termination policy"));
    }
  }
  CheckLabels(out, at / "host_selector", value.host_selector());
  CheckDuration(out, at / "instance_warmup", value.instance_warmup(), absl::ZeroDuration(),
                limits::kMaxInstanceWarmup);
  if (value.has_from_zero()) CheckFromZero(out, at / "from_zero", value);
  CheckLifecycle(out, at, value);
  CheckAttached(out, at / "security_groups", references, *value.mutable_security_groups());
  CheckLabels(out, at / "labels", value.labels());
  if (value.has_deployment()) {
    CheckDeploymentSettings(out, at / "deployment", value.deployment(),
                            references.analysis_commands);
  }
}

}  // namespace remuda::core
