// Commands on launch templates and their versions.
#include "controller/core/door/defaults.h"
#include "controller/core/door/done.h"
#include "controller/core/door/field_mask.h"
#include "controller/core/door/secrets.h"
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
         StageOf(value) == Stage::kSucceeded && value.rollback_of().empty();
}

// Why a template's versions (one, or with 0 all) cannot go: who refers to them. Empty if nobody
// does.
std::string UserOf(const Draft& draft, std::string_view id, int version) {
  const auto is_meant = [&](const v1::LaunchTemplateRef& ref) {
    return ref.launch_template() == id && (version == 0 || ref.resolved_version() == version);
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
    if (!HasEnded(StageOf(value))) user = NameOf<v1::Deployment>(deployment);
    if (CanBeUndone(draft, deployment, value)) {
      user = absl::StrCat("the rollback of ", NameOf<v1::Deployment>(deployment));
    }
  });
  return user;
}

std::vector<std::string> KeysOf(const Draft& draft, const std::string& id) {
  std::vector<std::string> keys;
  const std::string prefix = id + "/versions/";
  draft.ForEachFrom<v1::LaunchTemplateVersion>(
      prefix, [&](const std::string& key, const v1::LaunchTemplateVersion&) {
        if (!key.starts_with(prefix)) return false;
        keys.push_back(key);
        return true;
      });
  return keys;
}

absl::Status InUse(const std::string& name, const std::string& user) {
  return FailedPrecondition("LAUNCH_TEMPLATE_IN_USE",
                            absl::StrCat(name, ": ", user, " refers to it"));
}

}  // namespace

absl::StatusOr<v1::LaunchTemplateVersion> Execute(
    Draft& draft, const v1::CreateLaunchTemplateVersionRequest& request, const Context& context) {
  Violations violations;
  const FieldPath at("launch_template_version");
  v1::LaunchTemplateVersion value = request.launch_template_version();
  std::string parent = request.parent();
  if (!parent.empty() &&
      !NormalizeReference(violations, FieldPath("parent"), kLaunchTemplates, parent)) {
    return violations.ToStatus();
  }
  const std::string id = NewId(violations, kLaunchTemplates, FieldPath("parent"), parent,
                               at / "name", WithoutVersion(value.name()));
  ClearOutputOnly(value);
  KeepSecrets(violations, at, NewestOf(draft, id).get(), value);
  ApplyDefaults(value);
  Check(violations, at, References{draft, {}}, value);
  if (!violations.empty()) return violations.ToStatus();
  if (absl::Status quota = CheckTemplateQuota(draft, id); !quota.ok()) return quota;
  const TemplateResult result = PutTemplate(draft, id, std::move(value), context);
  auto answer = Answer<v1::LaunchTemplateVersion>(draft, context, result.key);
  if (result.is_new) {
    NoteDone(draft, context,
             {.resource = NameOf<v1::LaunchTemplate>(id),
              .description =
                  absl::StrCat("Made version ", answer.version(), " of launch template ", id)});
  }
  return answer;
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteLaunchTemplateVersionRequest& request,
                              const Context& context) {
  const auto row = FindVersion(draft, "name", request.name());
  if (!row.ok()) return row.status();
  const v1::LaunchTemplateVersion& value = *row->value;
  if (value.name() != request.name()) {
    return InvalidField("name", absl::StrCat(Quoted(request.name()), " means ", value.name(),
                                             " now; a version is deleted by its number"));
  }
  if (absl::Status etag = CheckEtag(value.name(), value, request.etag()); !etag.ok()) return etag;
  const std::string id = VersionIn(value.name())->launch_template;
  const auto of = draft.Find<v1::LaunchTemplate>(id);
  if (of != nullptr && of->default_version() == value.version()) {
    return FailedPrecondition(
        "DEFAULT_VERSION",
        absl::StrCat(value.name(), " is the default version of ", of->name(),
                     "; make another one the default first, or delete the template"));
  }
  if (const std::string user = UserOf(draft, id, value.version()); !user.empty())
    return InUse(value.name(), user);
  draft.Delete<v1::LaunchTemplateVersion>(row->id);
  NoteDone(draft, context,
           {.resource = NameOf<v1::LaunchTemplate>(id),
            .description = absl::StrCat("Deleted ", value.name())});
  return Empty();
}

absl::StatusOr<v1::LaunchTemplate> Execute(Draft& draft,
                                           const v1::UpdateLaunchTemplateRequest& request,
                                           const Context& context) {
  const FieldPath at("launch_template");
  const v1::LaunchTemplate& wish = request.launch_template();
  const auto row = FindRow<v1::LaunchTemplate>(draft, (at / "name").text(), wish.name());
  if (!row.ok()) return row.status();
  Violations violations;
  CheckMask(violations, FieldPath("update_mask"), request.update_mask(), wish,
            {"name", "latest_version", "create_time", "etag"});
  if (!violations.empty()) return violations.ToStatus();
  if (absl::Status etag = CheckEtag(*row, wish.etag()); !etag.ok()) return etag;
  v1::LaunchTemplate value = *row->value;
  if (TakesAll(request.update_mask())) {
    value = wish;
    value.set_name(row->value->name());
    value.clear_latest_version();
    value.clear_etag();
    *value.mutable_create_time() = row->value->create_time();
    if (value.default_version() == 0) value.set_default_version(row->value->default_version());
  } else {
    CopyMasked(request.update_mask(), wish, value);
  }
  if (draft.Find<v1::LaunchTemplateVersion>(LaunchTemplateKey(row->id, value.default_version())) ==
      nullptr) {
    violations.Add(at / "default_version",
                   absl::StrCat(value.name(), " has no version ", value.default_version(),
                                "; the newest is ", NewestVersion(draft, row->id)));
  }
  CheckLabels(violations, at / "labels", value.labels());
  CheckText(violations, at / "description", value.description(), limits::kDescriptionBytes);
  if (!violations.empty()) return violations.ToStatus();
  const std::vector<std::string> changes = Differences(*row->value, value);
  if (!changes.empty()) {
    NoteDone(draft, context,
             {.resource = value.name(),
              .description = absl::StrCat("Updated ", value.name(), ": ", Joined(changes))});
    draft.Put(row->id, std::move(value));
  }
  return Answer<v1::LaunchTemplate>(draft, context, row->id);
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteLaunchTemplateRequest& request,
                              const Context& context) {
  const auto row = FindRowToWrite<v1::LaunchTemplate>(draft, request);
  if (!row.ok()) return row.status();
  if (const std::string user = UserOf(draft, row->id, 0); !user.empty())
    return InUse(row->value->name(), user);
  for (const std::string& key : KeysOf(draft, row->id))
    draft.Delete<v1::LaunchTemplateVersion>(key);
  DeleteRow(draft, context, *row);
  return Empty();
}

}  // namespace remuda::core
