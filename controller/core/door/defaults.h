// Defaults: the value of each field that was left out, given once when a resource is written, so
// that no other part asks "is it set?".
//
// Source of the values: the comments of proto/remuda/v1; AWS's where those are silent. Pure
// functions; applying them again changes nothing.
#pragma once

#include "remuda/v1/auto_scaling.pb.h"
#include "remuda/v1/certificate.pb.h"
#include "remuda/v1/deployment.pb.h"
#include "remuda/v1/image.pb.h"
#include "remuda/v1/launch_template.pb.h"
#include "remuda/v1/load_balancer.pb.h"
#include "remuda/v1/security_group.pb.h"
#include "remuda/v1/target_group.pb.h"

namespace remuda::core {

void ApplyDefaults(v1::LaunchTemplateVersion& value);
void ApplyDefaults(v1::TargetGroup& value);
void ApplyDefaults(v1::LoadBalancer& value);
// Also one spelling for each block of addresses; what is none stays as it is.
void ApplyDefaults(v1::SecurityGroup& value);
// `before`: the group as it is, null for a new one: `desired` left out keeps it within min and max
// (but goes to 0 with min, if it stood there), and the version of the same launch template as well.
void ApplyDefaults(v1::AutoScalingGroup& value, const v1::AutoScalingGroup* before);
void ApplyDefaults(v1::Deployment& value);
void ApplyDefaults(v1::DeploymentSettings& value);

// Takes out of a request's resource what only the controller writes.
void ClearOutputOnly(v1::LaunchTemplateVersion& value);
void ClearOutputOnly(v1::TargetGroup& value);
void ClearOutputOnly(v1::LoadBalancer& value);
void ClearOutputOnly(v1::Certificate& value);
void ClearOutputOnly(v1::SecurityGroup& value);
void ClearOutputOnly(v1::AutoScalingGroup& value);

}  // namespace remuda::core
