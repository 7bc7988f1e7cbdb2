#include "controller/core/door/templates.h"

#include "controller/core/door/field_mask.h"
#include "controller/core/door/rows.h"
#include "controller/core/model/launch_ref.h"

namespace remuda::core {
namespace {

std::string CounterOf(std::string_view template_id) {
  return absl::StrCat("launchTemplate/", std::string(template_id));
}

// What a version says, without what is given to it.
v1::LaunchTemplateVersion ContentOf(v1::LaunchTemplateVersion value) {
  value.clear_name();
  value.clear_version();
  value.clear_create_time();
  value.clear_etag();
  return value;
}

}  // namespace

int NewestVersion(const Draft& draft, std::string_view template_id) {
  // Keys sort by version: the last one with the prefix is the newest. Versions of one template are
  // few.
  const std::string prefix = std::string(template_id) + "/versions/";
  int newest = 0;
  draft.ForEachFrom<v1::LaunchTemplateVersion>(
      prefix, [&](const std::string& key, const v1::LaunchTemplateVersion& value) {
        if (key.compare(0, prefix.size(), prefix) != 0) return false;
        newest = value.version();
        return true;
      });
  return newest;
}

std::shared_ptr<const v1::LaunchTemplateVersion> NewestOf(const Draft& draft, std::string_view id) {
  return draft.Find<v1::LaunchTemplateVersion>(LaunchTemplateKey(id, NewestVersion(draft, id)));
}

std::optional<int> ResolveVersion(const Draft& draft, std::string_view template_id,
                                  std::string_view text) {
  if (text.empty() || text == kLatest) return NewestVersion(draft, template_id);
  if (text == kDefault) {
    const auto row = draft.Find<v1::LaunchTemplate>(template_id);
    return row == nullptr ? 0 : row->default_version();
  }
  constexpr size_t kDigits = 8;  // limits::kTemplateVersion
  if (text.size() > kDigits || text[0] == '0') return std::nullopt;
  int number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  return number;
}

absl::StatusOr<Row<v1::LaunchTemplateVersion>> FindVersion(const Draft& draft,
                                                           std::string_view field,
                                                           const std::string& name) {
  const auto parts = VersionIn(name);
  const auto number = parts.has_value() && !parts->version.empty()
                          ? ResolveVersion(draft, parts->launch_template, parts->version)
                          : std::nullopt;
  if (!number.has_value()) {
    return InvalidField(std::string(field),
                        absl::StrCat(Quoted(name),
                                     " is not a version's name: launchTemplates/ID/versions/N, "
                                     "where N is a number, $Latest or $Default"));
  }
  std::string key = LaunchTemplateKey(parts->launch_template, *number);
  auto value = draft.Find<v1::LaunchTemplateVersion>(key);
  if (value == nullptr) {
    return NotFound(*number == 0 ? FullName(kLaunchTemplates, parts->launch_template)
                                 : VersionName(parts->launch_template, *number));
  }
  return Row<v1::LaunchTemplateVersion>{std::move(key), std::move(value)};
}

absl::Status CheckTemplateQuota(const Draft& draft, std::string_view id) {
  const auto numbers = draft.Find<store::v1::Counter>(CounterOf(id));
  if (numbers != nullptr && numbers->last() >= limits::kTemplateVersion) {
    return LimitExceeded(
        "template_version",
        absl::StrCat(NameOf<v1::LaunchTemplate>(id), ": its versions have numbers up to ",
                     limits::kTemplateVersion, ", and all are used; take another name"));
  }
  if (draft.Find<v1::LaunchTemplate>(id) == nullptr) {
    if (absl::Status quota = CheckQuota<v1::LaunchTemplate>(draft); !quota.ok()) return quota;
  }
  return CheckQuota<v1::LaunchTemplateVersion>(draft);
}

int CopyNewest(Draft& draft, std::string_view id, const Context& context) {
  v1::LaunchTemplateVersion value = ContentOf(*NewestOf(draft, id));
  const int version = static_cast<int>(draft.Next(CounterOf(id)));
  value.set_name(VersionName(id, version));
  value.set_version(version);
  *value.mutable_create_time() = ToProto(context.now);
  draft.Put(LaunchTemplateKey(id, version), std::move(value));
  return version;
}

TemplateResult PutTemplate(Draft& draft, std::string_view id, v1::LaunchTemplateVersion value,
                           const Context& context) {
  TemplateResult result;
  value = ContentOf(std::move(value));
  const int newest = NewestVersion(draft, id);
  if (newest > 0) {
    result.key = LaunchTemplateKey(id, newest);
    result.changes =
        Differences(ContentOf(*draft.Find<v1::LaunchTemplateVersion>(result.key)), value);
    if (result.changes.empty()) return result;
  }
  result.is_new = true;
  const int version = static_cast<int>(draft.Next(CounterOf(id)));
  result.key = LaunchTemplateKey(id, version);
  value.set_name(VersionName(id, version));
  value.set_version(version);
  *value.mutable_create_time() = ToProto(context.now);
  draft.Put(result.key, std::move(value));
  if (draft.Find<v1::LaunchTemplate>(id) == nullptr) {
    v1::LaunchTemplate made;
    made.set_name(NameOf<v1::LaunchTemplate>(id));
    made.set_default_version(version);
    *made.mutable_create_time() = ToProto(context.now);
    draft.Put(id, std::move(made));
  }
  return result;
}

}  // namespace remuda::core
