// Versions of launch templates, as their own methods and an apply make them. Pure.
#pragma once

#include <absl/status/status.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/door/execute.h"
#include "controller/core/door/rows.h"

namespace remuda::core {

// The newest version of a template, and its number; null and 0 if there is none.
int NewestVersion(const Draft& draft, std::string_view template_id);
std::shared_ptr<const v1::LaunchTemplateVersion> NewestOf(const Draft& draft, std::string_view id);

// Number of the version that the text means: a number, `$Latest` (and none), `$Default`; 0 if there
// is no such version, nullopt if the text means nothing.
std::optional<int> ResolveVersion(const Draft& draft, std::string_view template_id,
                                  std::string_view text);

// The version that a full name says, which may end in $Latest or $Default; its key is the row's id.
absl::StatusOr<Row<v1::LaunchTemplateVersion>> FindVersion(const Draft& draft,
                                                           std::string_view field,
                                                           const std::string& name);

// Whether one more version may be made: of all templates, and of this one, whose numbers are never
// used again.
absl::Status CheckTemplateQuota(const Draft& draft, std::string_view id);

// The next version of a template, or its newest if that says the same. The draft is changed only
// for a new one.
struct TemplateResult {
  std::string key;
  bool is_new = false;               // a version was made
  std::vector<std::string> changes;  // against the version before
};
// `CheckTemplateQuota` has answered OK.
TemplateResult PutTemplate(Draft& draft, std::string_view id, v1::LaunchTemplateVersion value,
                           const Context& context);

// One more version that says what the newest says. Its number. `CheckTemplateQuota` has answered
// OK.
int CopyNewest(Draft& draft, std::string_view id, const Context& context);

}  // namespace remuda::core
