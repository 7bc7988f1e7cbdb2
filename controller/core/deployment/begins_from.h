// What a deployment moves a group away from. Thread: the loop thread. Pure.
#pragma once

#include <string_view>

#include "controller/core/model/draft.h"

namespace remuda::core {

// The version other than `to` of which most instances serve; the group's, or one that runs, if none
// does. `to` itself if nothing but it runs and the group's is it.
v1::LaunchTemplateRef RunsBeside(const Draft& draft, std::string_view id,
                                 const v1::AutoScalingGroup& group,
                                 const v1::LaunchTemplateRef& to);

}  // namespace remuda::core
