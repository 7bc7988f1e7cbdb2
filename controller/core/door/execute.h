// Execute: an admin's wish as validated edits. One overload a write method of the API.
//
// Contract of every overload: on success the draft holds the edits and the answer is returned (with
// etag and output-only fields as far as state knows them); on error the draft is as it was and the
// status names the field, the value and the rule. Values are defaulted and normalized here, once,
// so that no other part asks "is it set?". `validate_only` and `request_id` are handled once for
// all of them, in execute_once.h. Thread: the loop thread. Pure.
#pragma once

#include <absl/status/statusor.h>
#include <google/protobuf/empty.pb.h>

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "controller/core/door/validate.h"
#include "controller/core/model/draft.h"
#include "controller/core/model/observations.h"
#include "remuda/v1/apply.pb.h"
#include "remuda/v1/lifecycle.pb.h"

namespace remuda::core {

// What a certificate says, or what is wrong with it.
struct CertificateFacts {
  std::vector<std::string> dns_names;
  Time expires;
  std::string fault_field;  // certificate_pem or private_key_pem
  std::string fault;        // empty: none
};
// Reads PEM texts; a pure function of the shell's, where the library for it is.
using CertificateReader = CertificateFacts (*)(std::string_view certificate_pem,
                                               std::string_view private_key_pem);

// Who asks. Views of texts that outlive the command.
struct Who {
  std::string_view actor = "system";  // Activity.actor
  std::string_view serial = {};       // of its certificate, lowercase hex digits
};

// What a command may look at beside the draft.
struct Context {
  const Observations& seen;
  Time now;
  CertificateReader read_certificate = nullptr;         // null: certificates cannot be written
  AuthoritiesCheck check_authorities = nullptr;         // null: no ca_pem can be written
  const AnalysisCommands* analysis_commands = nullptr;  // null: none
  Who who = {};
  // The wall's clock: what certificates are dated by, and so what shuts them out, and tokens. `now`
  // follows no step of it, and stands still while a machine sleeps. Unset: as now.
  std::optional<Time> wall = {};

  Time WallNow() const { return wall.value_or(now); }
};

// An image whose bytes are on disk and verified.
struct RegisterImage {
  v1::Image image;
};

// A token to join with, whose text is made elsewhere: `token` has role, subject, expire_time and
// token_hash. FAILED_PRECONDITION: a person's user is not there.
struct AddJoinToken {
  v1::JoinToken token;
};
// One who shows a token joins, which is one use of it. `token_hash` is SHA-256 of what was shown.
// UNAUTHENTICATED: nobody knows such a token, or it is not good for this (join_tokens.h: what
// refuses one). FAILED_PRECONDITION as above. The answer is the token's row without the hash.
struct UseJoinToken {
  std::string token_hash;
  v1::IdentityRole role = v1::IDENTITY_ROLE_UNSPECIFIED;
  std::string subject;
};

// A listener that a proxy could not open, or could open after all: an activity of its load
// balancer.
struct NoteListener {
  std::string proxy;
  ListenerId listener;
  std::string error;  // empty: it listens again
};

// What an app asks for itself, through the agent of its host.
struct AppWish {
  std::string host;
  agent::v1::AppCall call;
};
// How the instance stands then.
struct AppState {
  v1::Instance instance;
};

using google::protobuf::Empty;

absl::StatusOr<v1::Image> Execute(Draft&, const RegisterImage&, const Context&);
absl::StatusOr<Empty> Execute(Draft&, const v1::DeleteImageRequest&, const Context&);

absl::StatusOr<Empty> Execute(Draft&, const NoteListener&, const Context&);

absl::StatusOr<v1::JoinToken> Execute(Draft&, const AddJoinToken&, const Context&);
absl::StatusOr<v1::JoinToken> Execute(Draft&, const UseJoinToken&, const Context&);
absl::StatusOr<Empty> Execute(Draft&, const v1::DeleteJoinTokenRequest&, const Context&);
absl::StatusOr<v1::User> Execute(Draft&, const v1::CreateUserRequest&, const Context&);
absl::StatusOr<v1::User> Execute(Draft&, const v1::UpdateUserRequest&, const Context&);
absl::StatusOr<Empty> Execute(Draft&, const v1::DeleteUserRequest&, const Context&);
absl::StatusOr<v1::Revocation> Execute(Draft&, const v1::CreateRevocationRequest&, const Context&);
absl::StatusOr<Empty> Execute(Draft&, const v1::DeleteRevocationRequest&, const Context&);

absl::StatusOr<v1::LaunchTemplateVersion> Execute(Draft&,
                                                  const v1::CreateLaunchTemplateVersionRequest&,
                                                  const Context&);
absl::StatusOr<Empty> Execute(Draft&, const v1::DeleteLaunchTemplateVersionRequest&,
                              const Context&);
absl::StatusOr<v1::LaunchTemplate> Execute(Draft&, const v1::UpdateLaunchTemplateRequest&,
                                           const Context&);
absl::StatusOr<Empty> Execute(Draft&, const v1::DeleteLaunchTemplateRequest&, const Context&);

absl::StatusOr<v1::TargetGroup> Execute(Draft&, const v1::CreateTargetGroupRequest&,
                                        const Context&);
absl::StatusOr<v1::TargetGroup> Execute(Draft&, const v1::UpdateTargetGroupRequest&,
                                        const Context&);
absl::StatusOr<Empty> Execute(Draft&, const v1::DeleteTargetGroupRequest&, const Context&);
absl::StatusOr<v1::RegisterTargetsResponse> Execute(Draft&, const v1::RegisterTargetsRequest&,
                                                    const Context&);
absl::StatusOr<v1::DeregisterTargetsResponse> Execute(Draft&, const v1::DeregisterTargetsRequest&,
                                                      const Context&);

absl::StatusOr<v1::Certificate> Execute(Draft&, const v1::CreateCertificateRequest&,
                                        const Context&);
absl::StatusOr<v1::Certificate> Execute(Draft&, const v1::UpdateCertificateRequest&,
                                        const Context&);
absl::StatusOr<Empty> Execute(Draft&, const v1::DeleteCertificateRequest&, const Context&);

absl::StatusOr<v1::SecurityGroup> Execute(Draft&, const v1::CreateSecurityGroupRequest&,
                                          const Context&);
absl::StatusOr<v1::SecurityGroup> Execute(Draft&, const v1::UpdateSecurityGroupRequest&,
                                          const Context&);
absl::StatusOr<Empty> Execute(Draft&, const v1::DeleteSecurityGroupRequest&, const Context&);

absl::StatusOr<v1::LoadBalancer> Execute(Draft&, const v1::CreateLoadBalancerRequest&,
                                         const Context&);
absl::StatusOr<v1::LoadBalancer> Execute(Draft&, const v1::UpdateLoadBalancerRequest&,
                                         const Context&);
absl::StatusOr<Empty> Execute(Draft&, const v1::DeleteLoadBalancerRequest&, const Context&);

absl::StatusOr<v1::Listener> Execute(Draft&, const v1::CreateListenerRequest&, const Context&);
absl::StatusOr<v1::Listener> Execute(Draft&, const v1::UpdateListenerRequest&, const Context&);
absl::StatusOr<Empty> Execute(Draft&, const v1::DeleteListenerRequest&, const Context&);
absl::StatusOr<v1::Rule> Execute(Draft&, const v1::CreateRuleRequest&, const Context&);
absl::StatusOr<v1::Rule> Execute(Draft&, const v1::UpdateRuleRequest&, const Context&);
absl::StatusOr<Empty> Execute(Draft&, const v1::DeleteRuleRequest&, const Context&);
absl::StatusOr<v1::SetRulePrioritiesResponse> Execute(Draft&, const v1::SetRulePrioritiesRequest&,
                                                      const Context&);

absl::StatusOr<v1::AutoScalingGroup> Execute(Draft&, const v1::CreateAutoScalingGroupRequest&,
                                             const Context&);
absl::StatusOr<v1::AutoScalingGroup> Execute(Draft&, const v1::UpdateAutoScalingGroupRequest&,
                                             const Context&);
absl::StatusOr<Empty> Execute(Draft&, const v1::DeleteAutoScalingGroupRequest&, const Context&);
absl::StatusOr<v1::AutoScalingGroup> Execute(Draft&, const v1::SetDesiredCapacityRequest&,
                                             const Context&);
absl::StatusOr<v1::ScalingPolicy> Execute(Draft&, const v1::PutScalingPolicyRequest&,
                                          const Context&);
absl::StatusOr<Empty> Execute(Draft&, const v1::DeleteScalingPolicyRequest&, const Context&);
absl::StatusOr<v1::Instance> Execute(Draft&, const v1::TerminateInstanceRequest&, const Context&);

absl::StatusOr<AppState> Execute(Draft&, const AppWish&, const Context&);
absl::StatusOr<v1::Instance> Execute(Draft&, const v1::SetInstanceProtectionRequest&,
                                     const Context&);
absl::StatusOr<v1::Instance> Execute(Draft&, const v1::EnterStandbyRequest&, const Context&);
absl::StatusOr<v1::Instance> Execute(Draft&, const v1::ExitStandbyRequest&, const Context&);
absl::StatusOr<v1::Instance> Execute(Draft&, const v1::AttachInstanceRequest&, const Context&);
absl::StatusOr<v1::Instance> Execute(Draft&, const v1::DetachInstanceRequest&, const Context&);
absl::StatusOr<v1::Instance> Execute(Draft&, const v1::CompleteLifecycleActionRequest&,
                                     const Context&);
absl::StatusOr<v1::Instance> Execute(Draft&, const v1::RecordLifecycleActionHeartbeatRequest&,
                                     const Context&);
absl::StatusOr<v1::AutoScalingGroup> Execute(Draft&, const v1::SuspendProcessesRequest&,
                                             const Context&);
absl::StatusOr<v1::AutoScalingGroup> Execute(Draft&, const v1::ResumeProcessesRequest&,
                                             const Context&);
absl::StatusOr<v1::AutoScalingGroup> Execute(Draft&, const v1::AttachTargetGroupsRequest&,
                                             const Context&);
absl::StatusOr<v1::AutoScalingGroup> Execute(Draft&, const v1::DetachTargetGroupsRequest&,
                                             const Context&);
absl::StatusOr<v1::Deployment> Execute(Draft&, const v1::StartInstanceRefreshRequest&,
                                       const Context&);

absl::StatusOr<v1::Deployment> Execute(Draft&, const v1::CreateDeploymentRequest&, const Context&);
absl::StatusOr<v1::Deployment> Execute(Draft&, const v1::PauseDeploymentRequest&, const Context&);
absl::StatusOr<v1::Deployment> Execute(Draft&, const v1::ResumeDeploymentRequest&, const Context&);
absl::StatusOr<v1::Deployment> Execute(Draft&, const v1::PromoteDeploymentRequest&, const Context&);
absl::StatusOr<v1::Deployment> Execute(Draft&, const v1::ApproveDeploymentRequest&, const Context&);
absl::StatusOr<v1::Deployment> Execute(Draft&, const v1::RollbackDeploymentRequest&,
                                       const Context&);
absl::StatusOr<v1::Deployment> Execute(Draft&, const v1::AbortDeploymentRequest&, const Context&);

absl::StatusOr<v1::Host> Execute(Draft&, const v1::CordonHostRequest&, const Context&);
absl::StatusOr<v1::Host> Execute(Draft&, const v1::UncordonHostRequest&, const Context&);
absl::StatusOr<v1::Host> Execute(Draft&, const v1::DrainHostRequest&, const Context&);
absl::StatusOr<Empty> Execute(Draft&, const v1::DeleteHostRequest&, const Context&);
absl::StatusOr<Empty> Execute(Draft&, const v1::DeleteProxyRequest&, const Context&);

absl::StatusOr<v1::ApplyResourcesResponse> Execute(Draft&, const v1::ApplyResourcesRequest&,
                                                   const Context&);

}  // namespace remuda::core
