// What verbs on groups and their instances share. Pure.
#pragma once

#include <absl/status/status.h>

#include <string>

#include "controller/core/door/rows.h"

namespace remuda::core {

// A group that is being deleted takes no changes.
absl::Status RefuseDeleting(const v1::AutoScalingGroup& group);

// Lowers the desired number of the instance's group by one; refused at min.
absl::Status LowerDesired(Draft& draft, const v1::Instance& instance, Time now);

// Raises the group's desired number by one; refused at max.
absl::Status RaiseDesired(Draft& draft, const std::string& group_id, Time now);

// Refused while a deployment of the group is under way: its numbers would not be what it counts on.
absl::Status RefuseInDeployment(const Draft& draft, const std::string& group_id,
                                const std::string& what);

}  // namespace remuda::core
