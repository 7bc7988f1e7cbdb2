// What a resource goes through before it is written, whether by its own methods or by an apply:
// defaults, rules, what only the controller writes. Pure.
#pragma once

#include <absl/status/status.h>

#include <string_view>

#include "controller/core/door/defaults.h"
#include "controller/core/door/execute.h"
#include "controller/core/door/kinds.h"
#include "controller/core/door/validate_resources.h"

namespace remuda::core {

// Defaults, then rules. `before` is the resource as it is, null for a new one; what only the
// controller writes is taken from there. The value's name is the full one of `id`.
void Prepare(Violations& out, const FieldPath& at, const References& references,
             std::string_view id, const v1::TargetGroup* before, const Context& context,
             v1::TargetGroup& value);
void Prepare(Violations& out, const FieldPath& at, const References& references,
             std::string_view id, const v1::LoadBalancer* before, const Context& context,
             v1::LoadBalancer& value);
void Prepare(Violations& out, const FieldPath& at, const References& references,
             std::string_view id, const v1::Certificate* before, const Context& context,
             v1::Certificate& value);
void Prepare(Violations& out, const FieldPath& at, const References& references,
             std::string_view id, const v1::SecurityGroup* before, const Context& context,
             v1::SecurityGroup& value);
void Prepare(Violations& out, const FieldPath& at, const References& references,
             std::string_view id, const v1::AutoScalingGroup* before, const Context& context,
             v1::AutoScalingGroup& value);

// The whole load balancer with an edited part: what is wrong with the part, which is at `in_row`,
// is said of `in_request`, where the request holds it. Also that its ports are free.
absl::Status PrepareWithPart(Violations& out, const FieldPath& in_row, const FieldPath& in_request,
                             const Draft& draft, const v1::LoadBalancer& before,
                             const Context& context, v1::LoadBalancer& value);

// What only the controller writes, in a value that a user gave.
template <class T>
void KeepIdentity(std::string_view id, const T* before, const Context& context, T& value) {
  ClearOutputOnly(value);
  value.set_name(NameOf<T>(id));
  *value.mutable_create_time() = before == nullptr ? ToProto(context.now) : before->create_time();
}

// What of a change to a group must wait: it is being deleted, or a deployment is under way and the
// template would change.
absl::Status CheckGroupChange(const Draft& draft, std::string_view id,
                              const v1::AutoScalingGroup& before,
                              const v1::AutoScalingGroup& after);

}  // namespace remuda::core
