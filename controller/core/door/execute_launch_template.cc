// Commands on launch templates.
#include "controller/core/door/defaults.h"
#include "controller/core/door/done.h"
#include "controller/core/door/templates.h"
#include "controller/core/door/validate_resources.h"
#include "controller/core/model/deployment_row.h"

namespace remuda::core {
namespace {

// Whether the deployment is the one that set what its group runs: a rollback of it needs both of
// its versions.
bool CanBeUndone(const Draft& draft, std::string_view id, const v1::Deployment& value) {
  const auto group = draft.Find<v1::AutoScalingGroup>(value.auto_scaling_group());
  return group != nullptr && group->launch_template_set_by() == id &&
         value.phase() == v1::DEPLOYMENT_PHASE_SUCCEEDED && value.rollback_of().empty();
}

// Why a template's versions (one, or with 0 all) cannot go: who refers to them. Empty if nobody
// does.
std::string UserOf(const Draft& draft, std::string_view id, int version) {
  const auto is_meant = [&](const v1::LaunchTemplateRef& ref) {
    return ref.name() == id && (version == 0 || ref.version() == version);
  };
  std::string user;
  draft.ForEach<v1::AutoScalingGroup>(
      [&](const std::string& group, const v1::AutoScalingGroup& value) {
        if (user.empty() && is_meant(value.launch_template()))
          user = NameOf<v1::AutoScalingGroup>(group);
      });
  if (!user.empty()) return user;
  draft.ForEach<v1::Instance>([&](const std::string& instance, const v1::Instance& value) {
    if (user.empty() && value.state() != v1::INSTANCE_STATE_TERMINATED &&
        is_meant(value.launch_template())) {
      user = NameOf<v1::Instance>(instance);
    }
  });
  if (!user.empty()) return user;
  draft.ForEach<v1::Deployment>([&](const std::string& deployment, const v1::Deployment& value) {
    if (!user.empty() || (!is_meant(value.from()) && !is_meant(value.to()))) return;
    if (!HasEnded(value.phase())) user = NameOf<v1::Deployment>(deployment);
    if (CanBeUndone(draft, deployment, value)) {
      user = absl::StrCat("the rollback of ", NameOf<v1::Deployment>(deployment));
    }
  });
  return user;
}

// Keys of the versions that a delete means: one, or with 0 all.
std::vector<std::string> KeysOf(const Draft& draft, const std::string& id, int version) {
  if (version != 0) {
    std::string key = LaunchTemplateKey(id, version);
    if (draft.Find<v1::LaunchTemplate>(key) == nullptr) return {};
    return {std::move(key)};
  }
  std::vector<std::string> keys;
  const std::string prefix = id + "/versions/";
  draft.ForEachFrom<v1::LaunchTemplate>(prefix,
                                        [&](const std::string& key, const v1::LaunchTemplate&) {
                                          if (key.compare(0, prefix.size(), prefix) != 0)
                                            return false;
                                          keys.push_back(key);
                                          return true;
                                        });
  return keys;
}

}  // namespace

absl::StatusOr<v1::LaunchTemplate> Execute(Draft& draft,
                                           const v1::CreateLaunchTemplateVersionRequest& request,
                                           const Context& context) {
  Violations violations;
  const FieldPath at("launch_template");
  v1::LaunchTemplate value = request.launch_template();
  const std::string id = NewId(violations, kLaunchTemplates, FieldPath("launch_template_id"),
                               request.launch_template_id(), at / "name", value.name());
  ClearOutputOnly(value);
  ApplyDefaults(value);
  Check(violations, at, References{draft, {}}, value);
  if (!violations.empty()) return violations.ToStatus();
  if (absl::Status quota = CheckTemplateQuota(draft, id); !quota.ok()) return quota;
  const TemplateResult result = PutTemplate(draft, id, std::move(value), context);
  v1::LaunchTemplate answer = Answer<v1::LaunchTemplate>(draft, context, result.key);
  if (result.is_new) {
    NoteDone(draft, context,
             {.resource = answer.name(),
              .description =
                  absl::StrCat("Made version ", answer.version(), " of launch template ", id)});
  }
  return answer;
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteLaunchTemplateRequest& request,
                              const Context& context) {
  const auto id = IdFrom<v1::LaunchTemplate>("name", request.name());
  if (!id.ok()) return id.status();
  if (request.version() < 0) {
    return InvalidField("version", absl::StrCat(request.version(), " must be 0 (all) or above"));
  }
  const std::string full = NameOf<v1::LaunchTemplate>(*id);
  const std::string which =
      request.version() == 0 ? full : absl::StrCat(full, " version ", request.version());
  const std::vector<std::string> keys = KeysOf(draft, *id, request.version());
  if (keys.empty()) return NotFound(which);
  if (const std::string user = UserOf(draft, *id, request.version()); !user.empty()) {
    return FailedPrecondition("LAUNCH_TEMPLATE_IN_USE",
                              absl::StrCat(which, ": ", user, " refers to it"));
  }
  for (const std::string& key : keys) draft.Delete<v1::LaunchTemplate>(key);
  NoteDone(draft, context, {.resource = full, .description = absl::StrCat("Deleted ", which)});
  return Empty();
}

}  // namespace remuda::core
