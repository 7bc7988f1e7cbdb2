// Read: what Get and List methods answer, from state and observations. One overload a method; Watch
// methods use the same rows.
//
// Owns: order, pages and filters of lists; output-only fields of targets, instances, hosts and
// proxies (those of groups and deployments: describe.h). Thread: the loop thread. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <string_view>

#include "controller/core/door/read_metrics.h"
#include "controller/core/door/snapshot.h"

namespace remuda::core {

absl::StatusOr<v1::Image> Read(const Snapshot&, const v1::GetImageRequest&);
absl::StatusOr<v1::ListImagesResponse> Read(const Snapshot&, const v1::ListImagesRequest&);
absl::StatusOr<v1::LaunchTemplate> Read(const Snapshot&, const v1::GetLaunchTemplateRequest&);
absl::StatusOr<v1::ListLaunchTemplatesResponse> Read(const Snapshot&,
                                                     const v1::ListLaunchTemplatesRequest&);
absl::StatusOr<v1::LaunchTemplateVersion> Read(const Snapshot&,
                                               const v1::GetLaunchTemplateVersionRequest&);
absl::StatusOr<v1::ListLaunchTemplateVersionsResponse> Read(
    const Snapshot&, const v1::ListLaunchTemplateVersionsRequest&);
absl::StatusOr<v1::TargetGroup> Read(const Snapshot&, const v1::GetTargetGroupRequest&);
absl::StatusOr<v1::ListTargetGroupsResponse> Read(const Snapshot&,
                                                  const v1::ListTargetGroupsRequest&);
absl::StatusOr<v1::ListTargetsResponse> Read(const Snapshot&, const v1::ListTargetsRequest&);
absl::StatusOr<v1::Certificate> Read(const Snapshot&, const v1::GetCertificateRequest&);
absl::StatusOr<v1::ListCertificatesResponse> Read(const Snapshot&,
                                                  const v1::ListCertificatesRequest&);
absl::StatusOr<v1::SecurityGroup> Read(const Snapshot&, const v1::GetSecurityGroupRequest&);
absl::StatusOr<v1::ListSecurityGroupsResponse> Read(const Snapshot&,
                                                    const v1::ListSecurityGroupsRequest&);
absl::StatusOr<v1::LoadBalancer> Read(const Snapshot&, const v1::GetLoadBalancerRequest&);
absl::StatusOr<v1::ListLoadBalancersResponse> Read(const Snapshot&,
                                                   const v1::ListLoadBalancersRequest&);
absl::StatusOr<v1::Listener> Read(const Snapshot&, const v1::GetListenerRequest&);
absl::StatusOr<v1::ListListenersResponse> Read(const Snapshot&, const v1::ListListenersRequest&);
absl::StatusOr<v1::Rule> Read(const Snapshot&, const v1::GetRuleRequest&);
absl::StatusOr<v1::ListRulesResponse> Read(const Snapshot&, const v1::ListRulesRequest&);
absl::StatusOr<v1::AutoScalingGroup> Read(const Snapshot&, const v1::GetAutoScalingGroupRequest&);
absl::StatusOr<v1::ListAutoScalingGroupsResponse> Read(const Snapshot&,
                                                       const v1::ListAutoScalingGroupsRequest&);
absl::StatusOr<v1::ListScalingPoliciesResponse> Read(const Snapshot&,
                                                     const v1::ListScalingPoliciesRequest&);
absl::StatusOr<v1::ListScalingEvaluationsResponse> Read(const Snapshot&,
                                                        const v1::ListScalingEvaluationsRequest&);
absl::StatusOr<v1::Instance> Read(const Snapshot&, const v1::GetInstanceRequest&);
absl::StatusOr<v1::ListInstancesResponse> Read(const Snapshot&, const v1::ListInstancesRequest&);
absl::StatusOr<v1::Deployment> Read(const Snapshot&, const v1::GetDeploymentRequest&);
absl::StatusOr<v1::ListDeploymentsResponse> Read(const Snapshot&,
                                                 const v1::ListDeploymentsRequest&);
absl::StatusOr<v1::Host> Read(const Snapshot&, const v1::GetHostRequest&);
absl::StatusOr<v1::ListHostsResponse> Read(const Snapshot&, const v1::ListHostsRequest&);
absl::StatusOr<v1::Proxy> Read(const Snapshot&, const v1::GetProxyRequest&);
absl::StatusOr<v1::ListProxiesResponse> Read(const Snapshot&, const v1::ListProxiesRequest&);
absl::StatusOr<v1::ListActivitiesResponse> Read(const Snapshot&, const v1::ListActivitiesRequest&);
absl::StatusOr<v1::User> Read(const Snapshot&, const v1::GetUserRequest&);
absl::StatusOr<v1::ListUsersResponse> Read(const Snapshot&, const v1::ListUsersRequest&);
absl::StatusOr<v1::ListJoinTokensResponse> Read(const Snapshot&, const v1::ListJoinTokensRequest&);
absl::StatusOr<v1::ListRevocationsResponse> Read(const Snapshot&,
                                                 const v1::ListRevocationsRequest&);

// For Watch methods: what a parent names, by full name: all of it, or of `only` what is there. The
// shell compares it with what it has sent. INVALID_ARGUMENT or NOT_FOUND as the List methods.
absl::StatusOr<std::map<std::string, v1::Target>> TargetsIn(
    const Snapshot&, const v1::WatchTargetsRequest&, const std::set<TargetId>* only = nullptr);
absl::StatusOr<std::map<std::string, v1::Instance>> InstancesIn(
    const Snapshot&, const std::string& parent, const std::set<std::string>* only = nullptr);

}  // namespace remuda::core
