#include "controller/core/door/templates.h"

#include "controller/core/door/field_mask.h"
#include "controller/core/door/rows.h"

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

}  // namespace

int NewestVersion(const Draft& draft, std::string_view template_id) {
  // Keys sort by version: the last one with the prefix is the newest. Versions of one template are
  // few.
  const std::string prefix = std::string(template_id) + "/versions/";
  int newest = 0;
  draft.ForEachFrom<v1::LaunchTemplate>(
      prefix, [&](const std::string& key, const v1::LaunchTemplate& value) {
        if (key.compare(0, prefix.size(), prefix) != 0) return false;
        newest = value.version();
        return true;
      });
  return newest;
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

}  // namespace remuda::core
