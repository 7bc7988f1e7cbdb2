// Commands on images and launch templates.
#include "common/ids.h"
#include "controller/core/door/defaults.h"
#include "controller/core/door/execute_internal.h"
#include "controller/core/door/field_mask.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/words.h"

namespace remuda::core {
namespace {

std::string CounterOf(std::string_view template_id) {
  return absl::StrCat("launchTemplate/", std::string(template_id));
}

// What a version says, without what is given to it.
v1::LaunchTemplate ContentOf(v1::LaunchTemplate value) {
  value.clear_version();
  value.clear_create_time();
  value.clear_etag();
  return value;
}

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

absl::StatusOr<v1::Image> Execute(Draft& draft, const RegisterImage& command,
                                  const Context& context) {
  v1::Image image = command.image;
  Violations violations;
  const std::string id =
      NewId(violations, kImages, FieldPath("image_id"), "", FieldPath("image_id"), image.name());
  if (!IsDigest(image.digest())) {
    violations.Add(
        FieldPath("digest"),
        absl::StrCat(Quoted(image.digest()), " must be sha256: and 64 lowercase hex digits"));
  }
  CheckRange(violations, FieldPath("size_bytes"), image.size_bytes(), 1, limits::kImageBytes);
  if (!image.source_instance().empty()) {
    NormalizeReference(violations, FieldPath("source_instance"), kInstances,
                       *image.mutable_source_instance());
  }
  CheckLabels(violations, FieldPath("labels"), image.labels());
  if (!violations.empty()) return violations.ToStatus();
  const auto before = draft.Find<v1::Image>(id);
  if (before != nullptr) {
    if (before->digest() == image.digest()) return Answer<v1::Image>(draft, context, id);
    return AlreadyExists(
        NameOf<v1::Image>(id),
        absl::StrCat("is ", before->digest(), ", and these bytes are ", image.digest(),
                     "; an image never changes: push under another name"));
  }
  if (absl::Status quota = CheckQuota<v1::Image>(draft); !quota.ok()) return quota;
  image.set_name(NameOf<v1::Image>(id));
  *image.mutable_create_time() = ToProto(context.now);
  image.clear_etag();
  NoteDone(draft, context,
           {.resource = image.name(),
            .description = absl::StrCat("Added image ", id, " (", image.digest(), ", ",
                                        Counted(image.size_bytes(), "byte"), ")"),
            .cause = image.source_instance().empty()
                         ? "a person pushed it"
                         : absl::StrCat("a person asked for it from the instance ",
                                        image.source_instance())});
  draft.Put(id, std::move(image));
  return Answer<v1::Image>(draft, context, id);
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteImageRequest& request,
                              const Context& context) {
  const auto row = FindRowToDelete<v1::Image>(draft, request);
  if (!row.ok()) return row.status();
  std::string user;
  draft.ForEach<v1::LaunchTemplate>([&](const std::string&, const v1::LaunchTemplate& value) {
    if (user.empty() && value.image() == row->id) {
      user = absl::StrCat(value.name(), " version ", value.version());
    }
  });
  if (!user.empty()) {
    return FailedPrecondition("IMAGE_IN_USE",
                              absl::StrCat(row->value->name(), ": ", user, " refers to it"));
  }
  draft.Delete<v1::Image>(row->id);
  NoteDone(
      draft, context,
      {.resource = row->value->name(), .description = absl::StrCat("Deleted image ", row->id)});
  return Empty();
}

absl::Status CheckTemplateQuota(const Draft& draft, std::string_view id) {
  const auto numbers = draft.Find<store::v1::Counter>(CounterOf(id));
  if (numbers != nullptr && numbers->last() >= limits::kTemplateVersion) {
    return LimitExceeded(
        "template_version",
        absl::StrCat(NameOf<v1::LaunchTemplate>(id), ": its versions have numbers up to ",
                     limits::kTemplateVersion, ", and all are used; take another name"));
  }
  return CheckQuota<v1::LaunchTemplate>(draft);
}

TemplateResult PutTemplate(Draft& draft, std::string_view id, v1::LaunchTemplate value,
                           const Context& context) {
  TemplateResult result;
  value.set_name(NameOf<v1::LaunchTemplate>(id));
  value = ContentOf(std::move(value));
  const int newest = NewestVersion(draft, id);
  if (newest > 0) {
    result.key = LaunchTemplateKey(id, newest);
    result.changes = Differences(ContentOf(*draft.Find<v1::LaunchTemplate>(result.key)), value);
    if (result.changes.empty()) return result;
  }
  result.is_new = true;
  const int version = static_cast<int>(draft.Next(CounterOf(id)));
  result.key = LaunchTemplateKey(id, version);
  value.set_version(version);
  *value.mutable_create_time() = ToProto(context.now);
  draft.Put(result.key, std::move(value));
  return result;
}

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
