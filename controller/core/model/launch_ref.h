// Which version of a launch template: as rows and requests refer to it. Pure functions.
#pragma once

#include <absl/strings/str_cat.h>

#include <string>
#include <string_view>

#include "remuda/v1/auto_scaling.pb.h"

namespace remuda::core {

inline constexpr std::string_view kLatest = "$Latest";
inline constexpr std::string_view kDefault = "$Default";

inline bool IsSame(const v1::LaunchTemplateRef& a, const v1::LaunchTemplateRef& b) {
  return a.resolved_version() == b.resolved_version() && a.launch_template() == b.launch_template();
}

// "shop:2".
inline std::string TextOf(const v1::LaunchTemplateRef& ref) {
  return absl::StrCat(ref.launch_template(), ":", ref.resolved_version());
}

// The version by its number: what an instance runs, whatever the reference was written as.
inline v1::LaunchTemplateRef Numbered(const std::string& launch_template, int version) {
  v1::LaunchTemplateRef out;
  out.set_launch_template(launch_template);
  out.set_version(absl::StrCat(version));
  out.set_resolved_version(version);
  return out;
}
inline v1::LaunchTemplateRef Numbered(const v1::LaunchTemplateRef& ref) {
  return Numbered(ref.launch_template(), ref.resolved_version());
}

}  // namespace remuda::core
