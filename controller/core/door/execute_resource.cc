// Create, update and delete of target groups, load balancers and auto scaling groups: the same
// steps for each, with what differs in Prepare and in the checks before a delete.
#include "controller/core/door/begin_shift.h"
#include "controller/core/door/defaults.h"
#include "controller/core/door/done.h"
#include "controller/core/door/field_mask.h"
#include "controller/core/door/follow_targets.h"
#include "controller/core/door/prepare.h"
#include "controller/core/door/secrets.h"
#include "controller/core/door/validate_policies.h"
#include "controller/core/model/capacity.h"
#include "controller/core/model/launch_ref.h"

namespace remuda::core {
namespace {

const std::vector<std::string_view>& ReadOnlyFields() {
  static const auto* const kFields =
      new std::vector<std::string_view>{"name",
                                        "create_time",
                                        "etag",
                                        "deleting",
                                        "status",
                                        "dns_names",
                                        "expire_time",
                                        "listener_errors",
                                        "targets_status",
                                        "launch_template_set_by",
                                        "capacity",
                                        "suspended_processes",
                                        "launch_template.resolved_version"};
  return *kFields;
}

void CheckPorts(Violations& out, const FieldPath& at, const Draft& draft, std::string_view id,
                const v1::LoadBalancer& value) {
  CheckPortsFree(out, at, draft, id, value);
}
template <class T>
void CheckPorts(Violations&, const FieldPath&, const Draft&, std::string_view, const T&) {}

absl::Status CheckChange(const Draft& draft, std::string_view id,
                         const v1::AutoScalingGroup& before, const v1::AutoScalingGroup& after) {
  return CheckGroupChange(draft, id, before, after);
}
template <class T>
absl::Status CheckChange(const Draft&, std::string_view, const T&, const T&) {
  return absl::OkStatus();
}

// `desired` that the mask does not name stays as it is, within min and max; so does what the
// launch template's version was resolved to.
void ForgetKept(const google::protobuf::FieldMask& mask, v1::AutoScalingGroup& value) {
  if (!Takes(mask, "desired")) value.clear_desired();
  if (!Takes(mask, "launch_template")) value.mutable_launch_template()->clear_version();
}
template <class T>
void ForgetKept(const google::protobuf::FieldMask&, T&) {}

// What was read and comes back unchanged is no wish: `$Latest` with the number that it has here
// does not move the group to a newer version.
void KeepVersion(const v1::AutoScalingGroup& before, v1::AutoScalingGroup& value) {
  const v1::LaunchTemplateRef& is = before.launch_template();
  v1::LaunchTemplateRef& wish = *value.mutable_launch_template();
  const bool is_named = wish.launch_template() == is.launch_template() ||
                        wish.launch_template() == FullName(kLaunchTemplates, is.launch_template());
  if (is_named && wish.version() == is.version() &&
      wish.resolved_version() == is.resolved_version()) {
    wish.clear_version();
  }
}

template <class T>
absl::StatusOr<T> Create(Draft& draft, const std::string& wanted_id, const T& wish,
                         const Context& context) {
  Violations violations;
  const FieldPath at{std::string(Traits<T>::kField)};
  const std::string id = NewId(violations, Traits<T>::kCollection, FieldPath(at.text() + "_id"),
                               wanted_id, at / "name", wish.name());
  T value = wish;
  KeepSecrets(violations, at, nullptr, value);
  Prepare(violations, at,
          References{draft, {}, context.check_authorities, context.analysis_commands}, id, nullptr,
          context, value);
  if (!id.empty() && draft.Find<T>(id) != nullptr) {
    // Said alone: that the rest of the request is right or wrong does not matter then.
    return AlreadyExists(NameOf<T>(id), "exists already; update it, or take another name");
  }
  CheckPorts(violations, at, draft, id, value);
  if (!violations.empty()) return violations.ToStatus();
  if (absl::Status quota = CheckQuota<T>(draft); !quota.ok()) return quota;
  NoteDone(draft, context,
           {.resource = value.name(), .description = absl::StrCat("Created ", value.name())});
  draft.Put(id, std::move(value));
  return Answer<T>(draft, context, id);
}

template <class T>
absl::StatusOr<T> Update(Draft& draft, const T& wish, const google::protobuf::FieldMask& mask,
                         const Context& context) {
  const FieldPath at{std::string(Traits<T>::kField)};
  const auto row = FindRow<T>(draft, (at / "name").text(), wish.name());
  if (!row.ok()) return row.status();
  Violations violations;
  CheckMask(violations, FieldPath("update_mask"), mask, wish, ReadOnlyFields());
  if (!violations.empty()) return violations.ToStatus();
  if (absl::Status etag = CheckEtag(*row, wish.etag()); !etag.ok()) return etag;
  T value = wish;
  if (!TakesAll(mask)) {
    value = *row->value;
    CopyMasked(mask, wish, value);
    ForgetKept(mask, value);
  }
  KeepSecrets(violations, at, row->value.get(), value);
  Prepare(violations, at,
          References{draft, {}, context.check_authorities, context.analysis_commands}, row->id,
          row->value.get(), context, value);
  CheckPorts(violations, at, draft, row->id, value);
  if (!violations.empty()) return violations.ToStatus();
  if (absl::Status change = CheckChange(draft, row->id, *row->value, value); !change.ok())
    return change;
  const std::vector<std::string> changes = Differences(*row->value, value);
  if (!changes.empty()) {
    NoteDone(draft, context,
             {.resource = value.name(),
              .description = absl::StrCat("Updated ", value.name(), ": ", Joined(changes))});
    DropFollowed(draft, row->id, value, context);
    draft.Put(row->id, std::move(value));
  }
  return Answer<T>(draft, context, row->id);
}

// Who uses a target group; empty if nobody does.
std::string UserOfTargetGroup(const Draft& draft, std::string_view id) {
  std::string user;
  const auto forwards = [&](const v1::Action& action) {
    for (const auto& group : action.forward().target_groups()) {
      if (group.target_group() == id) return true;
    }
    return false;
  };
  draft.ForEach<v1::LoadBalancer>([&](const std::string& lb, const v1::LoadBalancer& value) {
    for (const v1::Listener& listener : value.listeners()) {
      bool uses = forwards(listener.default_action());
      for (const v1::Rule& rule : listener.rules()) uses = uses || forwards(rule.action());
      if (uses && user.empty()) user = NameOf<v1::LoadBalancer>(lb);
    }
  });
  draft.ForEach<v1::AutoScalingGroup>(
      [&](const std::string& group, const v1::AutoScalingGroup& value) {
        for (const std::string& used : value.target_groups()) {
          if (used == id && user.empty()) user = NameOf<v1::AutoScalingGroup>(group);
        }
      });
  return user;
}

}  // namespace

void Prepare(Violations& out, const FieldPath& at, const References& references,
             std::string_view id, const v1::TargetGroup* before, const Context& context,
             v1::TargetGroup& value) {
  KeepIdentity(id, before, context, value);
  ApplyDefaults(value);
  Check(out, at, references, value);
  // ELB has it so: listeners of one kind could refer to it.
  if (before != nullptr && before->protocol() != value.protocol())
    out.Add(at / "protocol", "cannot change; make another target group");
}

void Prepare(Violations& out, const FieldPath& at, const References& references,
             std::string_view id, const v1::LoadBalancer* before, const Context& context,
             v1::LoadBalancer& value) {
  KeepIdentity(id, before, context, value);
  NameParts(out, at, id, before, value);
  ApplyDefaults(value);
  Check(out, at, references, value);
  if (before != nullptr) CheckShiftsKept(out, at, references.draft, id, *before, value);
}

absl::Status PrepareWithPart(Violations& out, const FieldPath& in_row, const FieldPath& in_request,
                             const Draft& draft, const v1::LoadBalancer& before,
                             const Context& context, v1::LoadBalancer& value) {
  const std::string id(IdOf(before.name()));
  Prepare(out, FieldPath(),
          References{draft, {}, context.check_authorities, context.analysis_commands}, id, &before,
          context, value);
  CheckPortsFree(out, FieldPath(), draft, id, value);
  out.Rename(in_row, in_request);
  return out.ToStatus();
}

void Prepare(Violations& out, const FieldPath& at, const References& references,
             std::string_view id, const v1::AutoScalingGroup* before, const Context& context,
             v1::AutoScalingGroup& value) {
  if (before != nullptr) KeepVersion(*before, value);
  KeepIdentity(id, before, context, value);
  value.clear_suspended_processes();
  if (before != nullptr) {
    value.set_deleting(before->deleting());
    if (before->has_status()) *value.mutable_status() = before->status();
    *value.mutable_suspended_processes() = before->suspended_processes();
  }
  ApplyDefaults(value, before);
  KeepCapacity(before, value, context.now);
  BeginSchedules(before, value, context.now);
  Check(out, at, references, value);
  CheckPolicies(out, at / "policies", before, value, context.seen, context.now);
  if (before != nullptr && IsSame(before->launch_template(), value.launch_template())) {
    value.set_launch_template_set_by(before->launch_template_set_by());
  }
}

absl::Status CheckGroupChange(const Draft& draft, std::string_view id,
                              const v1::AutoScalingGroup& before,
                              const v1::AutoScalingGroup& after) {
  if (before.deleting()) {
    return FailedPrecondition(
        "GROUP_DELETING",
        absl::StrCat(before.name(), ": it is being deleted and takes no changes"));
  }
  if (IsSame(before.launch_template(), after.launch_template())) return absl::OkStatus();
  const auto active = FindActiveDeployment(draft, id);
  if (!active.has_value()) return absl::OkStatus();
  return FailedPrecondition(
      "DEPLOYMENT_ACTIVE",
      absl::StrCat(before.name(), ": launch_template cannot change from ",
                   TextOf(before.launch_template()), " to ", TextOf(after.launch_template()),
                   " while ", NameOf<v1::Deployment>(active->id),
                   " is under way; wait for it or roll it back"));
}

absl::StatusOr<v1::TargetGroup> Execute(Draft& draft, const v1::CreateTargetGroupRequest& request,
                                        const Context& context) {
  return Create(draft, request.target_group_id(), request.target_group(), context);
}

absl::StatusOr<v1::TargetGroup> Execute(Draft& draft, const v1::UpdateTargetGroupRequest& request,
                                        const Context& context) {
  return Update(draft, request.target_group(), request.update_mask(), context);
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteTargetGroupRequest& request,
                              const Context& context) {
  const auto row = FindRowToWrite<v1::TargetGroup>(draft, request);
  if (!row.ok()) return row.status();
  if (const std::string user = UserOfTargetGroup(draft, row->id); !user.empty()) {
    return FailedPrecondition("TARGET_GROUP_IN_USE",
                              absl::StrCat(row->value->name(), ": ", user, " refers to it"));
  }
  const std::string prefix = TargetKey(row->id, "");
  std::vector<std::string> targets;
  draft.ForEachFrom<v1::Target>(prefix, [&](const std::string& key, const v1::Target&) {
    if (key.compare(0, prefix.size(), prefix) != 0) return false;
    targets.push_back(key);
    return true;
  });
  for (const std::string& key : targets) draft.Delete<v1::Target>(key);
  DeleteRow(draft, context, *row);
  return Empty();
}

absl::StatusOr<v1::LoadBalancer> Execute(Draft& draft, const v1::CreateLoadBalancerRequest& request,
                                         const Context& context) {
  return Create(draft, request.load_balancer_id(), request.load_balancer(), context);
}

absl::StatusOr<v1::LoadBalancer> Execute(Draft& draft, const v1::UpdateLoadBalancerRequest& request,
                                         const Context& context) {
  return Update(draft, request.load_balancer(), request.update_mask(), context);
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteLoadBalancerRequest& request,
                              const Context& context) {
  const auto row = FindRowToWrite<v1::LoadBalancer>(draft, request);
  if (!row.ok()) return row.status();
  if (row->value->deletion_protection()) {
    return FailedPrecondition(
        "DELETION_PROTECTED",
        absl::StrCat(row->value->name(),
                     ": deletion_protection is true; an update must set it to false first"));
  }
  if (const std::string shift = ActiveShiftOf(draft, row->id); !shift.empty()) {
    return FailedPrecondition("SHIFT_ACTIVE",
                              absl::StrCat(NameOf<v1::Deployment>(shift), " moves traffic of ",
                                           row->value->name(), ": wait for it, or roll it back"));
  }
  DeleteRow(draft, context, *row);
  return Empty();
}

absl::StatusOr<v1::Certificate> Execute(Draft& draft, const v1::CreateCertificateRequest& request,
                                        const Context& context) {
  return Create(draft, request.certificate_id(), request.certificate(), context);
}

absl::StatusOr<v1::Certificate> Execute(Draft& draft, const v1::UpdateCertificateRequest& request,
                                        const Context& context) {
  return Update(draft, request.certificate(), request.update_mask(), context);
}

absl::StatusOr<v1::SecurityGroup> Execute(Draft& draft,
                                          const v1::CreateSecurityGroupRequest& request,
                                          const Context& context) {
  return Create(draft, request.security_group_id(), request.security_group(), context);
}

absl::StatusOr<v1::SecurityGroup> Execute(Draft& draft,
                                          const v1::UpdateSecurityGroupRequest& request,
                                          const Context& context) {
  return Update(draft, request.security_group(), request.update_mask(), context);
}

absl::StatusOr<v1::AutoScalingGroup> Execute(Draft& draft,
                                             const v1::CreateAutoScalingGroupRequest& request,
                                             const Context& context) {
  return Create(draft, request.auto_scaling_group_id(), request.auto_scaling_group(), context);
}

absl::StatusOr<v1::AutoScalingGroup> Execute(Draft& draft,
                                             const v1::UpdateAutoScalingGroupRequest& request,
                                             const Context& context) {
  return Update(draft, request.auto_scaling_group(), request.update_mask(), context);
}

}  // namespace remuda::core
