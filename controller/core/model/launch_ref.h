// Which version of a launch template: as rows and requests refer to it. Pure functions.
#pragma once

#include <absl/strings/str_cat.h>

#include <string>

#include "remuda/v1/auto_scaling.pb.h"

namespace remuda::core {

inline bool IsSame(const v1::LaunchTemplateRef& a, const v1::LaunchTemplateRef& b) {
  return a.version() == b.version() && a.name() == b.name();
}

// "shop:2".
inline std::string TextOf(const v1::LaunchTemplateRef& ref) {
  return absl::StrCat(ref.name(), ":", ref.version());
}

}  // namespace remuda::core
