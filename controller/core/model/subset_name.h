// Names of subsets of a target group: the instances of one group that run one version are one.
// Pure functions.
#pragma once

#include <absl/strings/str_cat.h>

#include <string>
#include <string_view>

#include "controller/core/model/launch_ref.h"

namespace remuda::core {

// "web/shop:2".
inline std::string SubsetOf(std::string_view group, const v1::LaunchTemplateRef& launch) {
  return absl::StrCat(std::string(group), "/", TextOf(launch));
}

// Whether the subset is of instances of the group, whatever they run.
inline bool IsSubsetOf(std::string_view subset, std::string_view group) {
  return subset.size() > group.size() && subset[group.size()] == '/' && subset.starts_with(group);
}

}  // namespace remuda::core
