// Versions of launch templates, as their own methods and an apply make them. Pure.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>
#include <vector>

#include "controller/core/door/execute.h"

namespace remuda::core {

// The newest version of a template; 0 if there is none.
int NewestVersion(const Draft& draft, std::string_view template_id);

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
TemplateResult PutTemplate(Draft& draft, std::string_view id, v1::LaunchTemplate value,
                           const Context& context);

}  // namespace remuda::core
