#include "controller/core/policies/verdict.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <cmath>

namespace remuda::core {

Time LastActed(const v1::AutoScalingGroup& group, const std::string& policy) {
  const auto& times = group.capacity().policy_times();
  const auto it = times.find(policy);
  return it == times.end() ? absl::InfinitePast() : FromProto(it->second);
}

Time ScaledOutAt(const v1::AutoScalingGroup& group) {
  if (!group.capacity().has_scale_out_time()) return absl::InfinitePast();
  return FromProto(group.capacity().scale_out_time());
}

Time ScaledInAt(const v1::AutoScalingGroup& group) {
  if (!group.capacity().has_scale_in_time()) return absl::InfinitePast();
  return FromProto(group.capacity().scale_in_time());
}

std::string NumberText(double value) {
  if (std::abs(value) >= 1000 || value == std::floor(value)) return absl::StrFormat("%.0f", value);
  return absl::StrFormat("%.3g", value);
}

}  // namespace remuda::core
