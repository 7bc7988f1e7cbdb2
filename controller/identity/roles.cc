#include "controller/identity/roles.h"

#include <absl/strings/str_cat.h>

#include <set>

#include "common/status.h"
#include "controller/core/door/parts.h"
#include "controller/core/door/shut_out.h"
#include "controller/core/model/names.h"
#include "remuda/v1/apply.pb.h"
#include "remuda/v1/deployment.pb.h"
#include "remuda/v1/image.pb.h"
#include "remuda/v1/lifecycle.pb.h"

namespace remuda {
namespace {

using google::protobuf::Message;
using Groups = std::set<std::string, std::less<>>;

// The least that a person must be; unspecified: no person may.
v1::UserRole LeastRole(Need need) {
  switch (need) {
    case Need::kIdentity:
    case Need::kView:
    case Need::kViewOrServe:
    case Need::kFetchImage:
      return v1::USER_ROLE_VIEWER;
    case Need::kPushImage:
    case Need::kDeployAny:
    case Need::kDeploy:
    case Need::kApply:
      return v1::USER_ROLE_DEPLOYER;
    case Need::kOperate:
      return v1::USER_ROLE_OPERATOR;
    case Need::kAdminister:
      return v1::USER_ROLE_ADMIN;
    case Need::kAgent:
    case Need::kProxy:
    case Need::kController:
      break;
  }
  return v1::USER_ROLE_UNSPECIFIED;
}

// Whether a program of that role may, for some request.
bool MayProgram(v1::IdentityRole role, Need need) {
  if (need == Need::kIdentity) return true;
  switch (role) {
    case v1::IDENTITY_ROLE_AGENT:
      return need == Need::kAgent || need == Need::kFetchImage || need == Need::kPushImage;
    case v1::IDENTITY_ROLE_PROXY:
      return need == Need::kProxy;
    case v1::IDENTITY_ROLE_CONTROLLER:
      return need == Need::kViewOrServe || need == Need::kFetchImage || need == Need::kController;
    default:
      return false;
  }
}

absl::Status Denied(const Caller& caller, v1::UserRole role, std::string_view method,
                    std::string_view why) {
  const std::string text = core::RoleText(role);
  return absl::PermissionDeniedError(
      absl::StrCat(caller.actor(), text.empty() ? "" : absl::StrCat(" (", text, ")"),
                   " may not call ", std::string(method), ": ", std::string(why)));
}

absl::Status DeniedFor(const Caller& caller, v1::UserRole role, const MethodNeed& row) {
  return Denied(caller, role, row.method,
                absl::StrCat("it needs ", std::string(NeedText(row.need))));
}

// Target groups of an action, and those that a shift is about.
absl::Status AddTargetGroups(const core::Draft& draft, const v1::TrafficShift& shift, Groups& out) {
  const auto add = [&out](const std::string& name) {
    if (const auto id = core::IdIn(core::kTargetGroups, name); id.has_value()) out.insert(*id);
  };
  if (!shift.from_target_group().empty()) add(shift.from_target_group());
  add(shift.to_target_group());
  const bool is_rule = shift.has_rule();
  const auto part = is_rule
                        ? core::FindRule(draft, "deployment.shift.rule", shift.rule())
                        : core::FindListener(draft, "deployment.shift.listener", shift.listener());
  if (!part.ok()) return part.status();
  const v1::Action& action = is_rule ? part->rule().action() : part->listener().default_action();
  for (const auto& group : action.forward().target_groups()) add(group.target_group());
  return absl::OkStatus();
}

// The auto scaling groups behind what a shift moves. Behind each target group there must be one:
// who may deploy to no group of it may not move its traffic.
absl::StatusOr<Groups> GroupsBehind(const core::Draft& draft, const v1::TrafficShift& shift) {
  Groups target_groups;
  if (absl::Status status = AddTargetGroups(draft, shift, target_groups); !status.ok())
    return status;
  Groups out;
  Groups without = target_groups;
  draft.ForEach<v1::AutoScalingGroup>(
      [&](const std::string& id, const v1::AutoScalingGroup& group) {
        for (const std::string& used : group.target_groups()) {
          if (!target_groups.contains(used)) continue;
          out.insert(id);
          without.erase(used);
        }
      });
  if (!without.empty()) {
    return absl::PermissionDeniedError(absl::StrCat(
        "targetGroups/", *without.begin(), " has no auto scaling group that could be named"));
  }
  return out;
}

absl::StatusOr<Groups> GroupsOf(const core::Draft& draft, const v1::Deployment& deployment) {
  if (deployment.has_shift()) return GroupsBehind(draft, deployment.shift());
  const auto id = core::IdIn(core::kAutoScalingGroups, deployment.auto_scaling_group());
  return id.has_value() ? Groups{*id} : Groups{};
}

std::string TextField(const Message& message, const char* name) {
  const auto* field = message.GetDescriptor()->FindFieldByName(name);
  return field == nullptr ? "" : message.GetReflection()->GetString(message, field);
}

// The auto scaling groups that the request is about; empty: not known, so nobody's.
absl::StatusOr<Groups> GroupsOf(const core::Draft& draft, const Message& request) {
  if (const auto* create = dynamic_cast<const v1::CreateDeploymentRequest*>(&request))
    return GroupsOf(draft, create->deployment());
  if (const auto* refresh = dynamic_cast<const v1::StartInstanceRefreshRequest*>(&request)) {
    const auto id = core::IdIn(core::kAutoScalingGroups, refresh->name());
    return id.has_value() ? Groups{*id} : Groups{};
  }
  if (const auto* image = dynamic_cast<const v1::CreateImageRequest*>(&request)) {
    const auto row = core::FindRow<v1::Instance>(draft, "instance", image->instance());
    if (!row.ok()) return row.status();
    const std::string& group = row->value->auto_scaling_group();
    return group.empty() ? Groups{} : Groups{group};
  }
  const auto row = core::FindRow<v1::Deployment>(draft, "name", TextField(request, "name"));
  if (!row.ok()) return row.status();
  return GroupsOf(draft, *row->value);
}

absl::Status AuthorizeDeploy(const core::Draft& draft, const Caller& caller, const v1::User& user,
                             const MethodNeed& row, const Message& request) {
  const absl::StatusOr<Groups> groups = GroupsOf(draft, request);
  if (absl::IsPermissionDenied(groups.status())) {
    return Denied(caller, user.role(), row.method, std::string(groups.status().message()));
  }
  if (!groups.ok()) return groups.status();
  if (groups->empty()) return DeniedFor(caller, user.role(), row);
  for (const std::string& group : *groups) {
    bool is_named = false;
    for (const std::string& named : user.auto_scaling_groups())
      is_named = is_named || named == group;
    if (!is_named) {
      return Denied(caller, user.role(), row.method,
                    absl::StrCat("it is about autoScalingGroups/", group,
                                 ", which is none of the user's auto_scaling_groups"));
    }
  }
  return absl::OkStatus();
}

absl::Status AuthorizeApply(const Caller& caller, const v1::User& user, const MethodNeed& row,
                            const Message& request) {
  const auto& apply = dynamic_cast<const v1::ApplyResourcesRequest&>(request);
  for (int i = 0; i < apply.resources_size(); ++i) {
    const v1::Resource& resource = apply.resources(i);
    const char* needs = nullptr;
    if (resource.has_security_group()) {
      if (user.role() != v1::USER_ROLE_ADMIN) needs = "admin, as a security group";
    } else if (user.role() == v1::USER_ROLE_DEPLOYER && !resource.has_launch_template()) {
      needs = "operator, as all but launch templates";
    }
    if (needs != nullptr) {
      return Denied(caller, user.role(), row.method,
                    absl::StrCat("resources[", i, "] needs ", needs));
    }
  }
  return absl::OkStatus();
}

// What an agent may of images: those of instances of its own host.
absl::Status AuthorizeImage(const core::Draft& draft, const Caller& caller, const MethodNeed& row,
                            const Message& request) {
  const core::State& state = draft.state();
  if (const auto* fetch = dynamic_cast<const v1::FetchImageRequest*>(&request)) {
    for (const std::string& id : state.InstancesOnHost(caller.peer.id.name)) {
      const v1::Instance& instance = **state.Find<v1::Instance>(id);
      if (instance.state() == v1::INSTANCE_STATE_TERMINATED) continue;
      const auto* launch = state.Find<v1::LaunchTemplateVersion>(
          core::LaunchTemplateKey(instance.launch_template().launch_template(),
                                  instance.launch_template().resolved_version()));
      if (launch != nullptr && (*launch)->image_digest() == fetch->digest())
        return absl::OkStatus();
    }
    return Denied(caller, v1::USER_ROLE_UNSPECIFIED, row.method,
                  "no instance of its host has that image");
  }
  const auto& push = dynamic_cast<const v1::PushImageRequest&>(request);
  const auto source = core::IdIn(core::kInstances, push.header().source_instance());
  const auto* instance = source.has_value() ? state.Find<v1::Instance>(*source) : nullptr;
  if (instance != nullptr && (*instance)->host() == caller.peer.id.name) return absl::OkStatus();
  return Denied(caller, v1::USER_ROLE_UNSPECIFIED, row.method,
                "header.source_instance is no instance of its host");
}

}  // namespace

std::string_view NeedText(Need need) {
  switch (need) {
    case Need::kIdentity:
      return "any identity";
    case Need::kView:
      return "viewer";
    case Need::kViewOrServe:
      return "viewer, or the controller itself";
    case Need::kFetchImage:
      return "viewer, or an agent for an image of an instance of its own, or a controller";
    case Need::kPushImage:
      return "deployer, or an agent for the image of an instance of its own that it was asked for";
    case Need::kDeployAny:
      return "deployer";
    case Need::kDeploy:
      return "operator, or deployer of the groups that it is about";
    case Need::kApply:
      return "operator (of launch templates alone: deployer; of security groups: admin)";
    case Need::kOperate:
      return "operator";
    case Need::kAdminister:
      return "admin";
    case Need::kAgent:
      return "an agent, as its own host";
    case Need::kProxy:
      return "a proxy, as itself";
    case Need::kController:
      return "a controller, as itself";
  }
  return "";
}

absl::Status AuthorizeMethod(const Caller& caller, v1::UserRole role, std::string_view method) {
  if (caller.is_local()) return absl::OkStatus();
  const MethodNeed* row = FindMethod(method);
  if (row == nullptr) return Denied(caller, role, method, "it is in no table of who may");
  if (caller.peer.id.role != v1::IDENTITY_ROLE_PERSON) {
    return MayProgram(caller.peer.id.role, row->need) ? absl::OkStatus()
                                                      : DeniedFor(caller, role, *row);
  }
  if (role == v1::USER_ROLE_UNSPECIFIED) {
    return Denied(caller, role, method,
                  absl::StrCat("users/", caller.peer.id.name, " is not there"));
  }
  const v1::UserRole least = LeastRole(row->need);
  if (least == v1::USER_ROLE_UNSPECIFIED || role < least) return DeniedFor(caller, role, *row);
  return absl::OkStatus();
}

absl::Status Authorize(const core::Draft& draft, const Caller& caller, std::string_view method,
                       const Message& request) {
  if (caller.is_local()) return absl::OkStatus();
  const bool is_person = caller.peer.id.role == v1::IDENTITY_ROLE_PERSON;
  const auto user = is_person ? draft.Find<v1::User>(caller.peer.id.name) : nullptr;
  const v1::UserRole role = user == nullptr ? v1::USER_ROLE_UNSPECIFIED : user->role();
  if (absl::Status status = AuthorizeMethod(caller, role, method); !status.ok()) return status;
  const MethodNeed& row = *FindMethod(method);
  switch (row.need) {
    case Need::kDeploy:
      return role == v1::USER_ROLE_DEPLOYER ? AuthorizeDeploy(draft, caller, *user, row, request)
                                            : absl::OkStatus();
    case Need::kApply:
      return AuthorizeApply(caller, *user, row, request);
    case Need::kFetchImage:
    case Need::kPushImage:
      return caller.peer.id.role == v1::IDENTITY_ROLE_AGENT
                 ? AuthorizeImage(draft, caller, row, request)
                 : absl::OkStatus();
    default:
      return absl::OkStatus();
  }
}

std::string RolesAsMarkdown() {
  std::string out = "| method | needs |\n|---|---|\n";
  for (const MethodNeed& row : MethodNeeds()) {
    absl::StrAppend(&out, "| `", std::string(row.method), "` | ", std::string(NeedText(row.need)),
                    " |\n");
  }
  return out;
}

}  // namespace remuda
