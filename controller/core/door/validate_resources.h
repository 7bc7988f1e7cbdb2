// The rules of each resource's fields, as the comments of proto/remuda/v1 say them. References to
// others are replaced by ids on the way.
//
// The values have been defaulted (defaults.h). Pure.
#pragma once

#include "controller/core/door/validate.h"

namespace remuda::core {

void Check(Violations& out, const FieldPath& at, const References& references,
           v1::LaunchTemplateVersion& value);
void Check(Violations& out, const FieldPath& at, const References& references,
           v1::TargetGroup& value);
void Check(Violations& out, const FieldPath& at, const References& references,
           v1::LoadBalancer& value);
void Check(Violations& out, const FieldPath& at, const References& references,
           v1::AutoScalingGroup& value);
void Check(Violations& out, const FieldPath& at, const References& references,
           v1::SecurityGroup& value);

// `security_groups` of what they are attached to, at `at`: each is there, once, and not too many.
void CheckAttached(Violations& out, const FieldPath& at, const References& references,
                   google::protobuf::RepeatedPtrField<std::string>& security_groups);

// Replaces the template's name by its id and resolves the version, unless it is resolved already;
// none is the newest, by its number. A version that is not there is a violation.
void CheckTemplateRef(Violations& out, const FieldPath& at, const References& references,
                      v1::LaunchTemplateRef& value);

// How targets are chosen and spared: algorithm, stickiness, ejection, limits, TLS to targets.
void CheckBalancing(Violations& out, const FieldPath& at, const References& references,
                    const v1::TargetGroup& value);

// What a listener's protocol asks for and rules out: certificates, policies, actions and their
// groups.
void CheckListenerProtocol(Violations& out, const FieldPath& at, const References& references,
                           v1::Listener& value);

// One condition of a rule.
void CheckCondition(Violations& out, const FieldPath& at, const v1::Condition& value);

// Rewrites of one rule.
void CheckTransforms(Violations& out, const FieldPath& at, const v1::Rule& value);

// Each listener's port against the listeners of other load balancers that some proxy might serve as
// well.
void CheckPortsFree(Violations& out, const FieldPath& at, const Draft& draft, std::string_view id,
                    const v1::LoadBalancer& value);

// Strategy, steps, deadline, analysis, previews, mirror.
// `commands`: what analyses may run at the controller (null: nothing).
void CheckDeployment(Violations& out, const FieldPath& at, const v1::Deployment& value,
                     const AnalysisCommands* commands);
void CheckDeploymentSettings(Violations& out, const FieldPath& at,
                             const v1::DeploymentSettings& value, const AnalysisCommands* commands);

}  // namespace remuda::core
