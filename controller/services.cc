#include "controller/services.h"

#include "controller/watches.h"

namespace remuda {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;
using grpc::ServerWriteReactor;

ServerUnaryReactor* TargetGroupService::CreateTargetGroup(
    CallbackServerContext* context, const v1::CreateTargetGroupRequest* request,
    v1::TargetGroup* answer) {
  return calls_.Write(context, "remuda.v1.TargetGroupService/CreateTargetGroup", request, answer);
}

ServerUnaryReactor* TargetGroupService::UpdateTargetGroup(
    CallbackServerContext* context, const v1::UpdateTargetGroupRequest* request,
    v1::TargetGroup* answer) {
  return calls_.Write(context, "remuda.v1.TargetGroupService/UpdateTargetGroup", request, answer);
}

ServerUnaryReactor* TargetGroupService::DeleteTargetGroup(
    CallbackServerContext* context, const v1::DeleteTargetGroupRequest* request,
    google::protobuf::Empty* answer) {
  return calls_.Write(context, "remuda.v1.TargetGroupService/DeleteTargetGroup", request, answer);
}

ServerUnaryReactor* TargetGroupService::RegisterTargets(CallbackServerContext* context,
                                                        const v1::RegisterTargetsRequest* request,
                                                        v1::RegisterTargetsResponse* answer) {
  return calls_.Write(context, "remuda.v1.TargetGroupService/RegisterTargets", request, answer);
}

ServerUnaryReactor* TargetGroupService::DeregisterTargets(
    CallbackServerContext* context, const v1::DeregisterTargetsRequest* request,
    v1::DeregisterTargetsResponse* answer) {
  return calls_.Write(context, "remuda.v1.TargetGroupService/DeregisterTargets", request, answer);
}

ServerUnaryReactor* TargetGroupService::GetTargetGroup(CallbackServerContext* context,
                                                       const v1::GetTargetGroupRequest* request,
                                                       v1::TargetGroup* answer) {
  return calls_.Read(context, request, answer);
}

ServerUnaryReactor* TargetGroupService::ListTargetGroups(CallbackServerContext* context,
                                                         const v1::ListTargetGroupsRequest* request,
                                                         v1::ListTargetGroupsResponse* answer) {
  return calls_.Read(context, request, answer);
}

ServerUnaryReactor* TargetGroupService::ListTargets(CallbackServerContext* context,
                                                    const v1::ListTargetsRequest* request,
                                                    v1::ListTargetsResponse* answer) {
  return calls_.Read(context, request, answer);
}

ServerWriteReactor<v1::WatchTargetsResponse>* TargetGroupService::WatchTargets(
    CallbackServerContext*, const v1::WatchTargetsRequest* request) {
  return watches::Targets(calls_.controller(), *request);
}

ServerUnaryReactor* LoadBalancerService::CreateLoadBalancer(
    CallbackServerContext* context, const v1::CreateLoadBalancerRequest* request,
    v1::LoadBalancer* answer) {
  return calls_.Write(context, "remuda.v1.LoadBalancerService/CreateLoadBalancer", request, answer);
}

ServerUnaryReactor* LoadBalancerService::UpdateLoadBalancer(
    CallbackServerContext* context, const v1::UpdateLoadBalancerRequest* request,
    v1::LoadBalancer* answer) {
  return calls_.Write(context, "remuda.v1.LoadBalancerService/UpdateLoadBalancer", request, answer);
}

ServerUnaryReactor* LoadBalancerService::DeleteLoadBalancer(
    CallbackServerContext* context, const v1::DeleteLoadBalancerRequest* request,
    google::protobuf::Empty* answer) {
  return calls_.Write(context, "remuda.v1.LoadBalancerService/DeleteLoadBalancer", request, answer);
}

ServerUnaryReactor* LoadBalancerService::GetLoadBalancer(CallbackServerContext* context,
                                                         const v1::GetLoadBalancerRequest* request,
                                                         v1::LoadBalancer* answer) {
  return calls_.Read(context, request, answer);
}

ServerUnaryReactor* LoadBalancerService::ListLoadBalancers(
    CallbackServerContext* context, const v1::ListLoadBalancersRequest* request,
    v1::ListLoadBalancersResponse* answer) {
  return calls_.Read(context, request, answer);
}

ServerUnaryReactor* CertificateService::CreateCertificate(
    CallbackServerContext* context, const v1::CreateCertificateRequest* request,
    v1::Certificate* answer) {
  return calls_.Write(context, "remuda.v1.CertificateService/CreateCertificate", request, answer);
}

ServerUnaryReactor* CertificateService::UpdateCertificate(
    CallbackServerContext* context, const v1::UpdateCertificateRequest* request,
    v1::Certificate* answer) {
  return calls_.Write(context, "remuda.v1.CertificateService/UpdateCertificate", request, answer);
}

ServerUnaryReactor* CertificateService::DeleteCertificate(
    CallbackServerContext* context, const v1::DeleteCertificateRequest* request,
    google::protobuf::Empty* answer) {
  return calls_.Write(context, "remuda.v1.CertificateService/DeleteCertificate", request, answer);
}

ServerUnaryReactor* CertificateService::GetCertificate(CallbackServerContext* context,
                                                       const v1::GetCertificateRequest* request,
                                                       v1::Certificate* answer) {
  return calls_.Read(context, request, answer);
}

ServerUnaryReactor* CertificateService::ListCertificates(CallbackServerContext* context,
                                                         const v1::ListCertificatesRequest* request,
                                                         v1::ListCertificatesResponse* answer) {
  return calls_.Read(context, request, answer);
}

ServerUnaryReactor* LaunchTemplateService::CreateLaunchTemplateVersion(
    CallbackServerContext* context, const v1::CreateLaunchTemplateVersionRequest* request,
    v1::LaunchTemplate* answer) {
  return calls_.Write(context, "remuda.v1.LaunchTemplateService/CreateLaunchTemplateVersion",
                      request, answer);
}

ServerUnaryReactor* LaunchTemplateService::DeleteLaunchTemplate(
    CallbackServerContext* context, const v1::DeleteLaunchTemplateRequest* request,
    google::protobuf::Empty* answer) {
  return calls_.Write(context, "remuda.v1.LaunchTemplateService/DeleteLaunchTemplate", request,
                      answer);
}

ServerUnaryReactor* LaunchTemplateService::GetLaunchTemplate(
    CallbackServerContext* context, const v1::GetLaunchTemplateRequest* request,
    v1::LaunchTemplate* answer) {
  return calls_.Read(context, request, answer);
}

ServerUnaryReactor* LaunchTemplateService::ListLaunchTemplates(
    CallbackServerContext* context, const v1::ListLaunchTemplatesRequest* request,
    v1::ListLaunchTemplatesResponse* answer) {
  return calls_.Read(context, request, answer);
}

ServerUnaryReactor* AutoScalingService::CreateAutoScalingGroup(
    CallbackServerContext* context, const v1::CreateAutoScalingGroupRequest* request,
    v1::AutoScalingGroup* answer) {
  return calls_.Write(context, "remuda.v1.AutoScalingService/CreateAutoScalingGroup", request,
                      answer);
}

ServerUnaryReactor* AutoScalingService::UpdateAutoScalingGroup(
    CallbackServerContext* context, const v1::UpdateAutoScalingGroupRequest* request,
    v1::AutoScalingGroup* answer) {
  return calls_.Write(context, "remuda.v1.AutoScalingService/UpdateAutoScalingGroup", request,
                      answer);
}

ServerUnaryReactor* AutoScalingService::DeleteAutoScalingGroup(
    CallbackServerContext* context, const v1::DeleteAutoScalingGroupRequest* request,
    google::protobuf::Empty* answer) {
  return calls_.Write(context, "remuda.v1.AutoScalingService/DeleteAutoScalingGroup", request,
                      answer);
}

ServerUnaryReactor* AutoScalingService::SetDesiredCapacity(
    CallbackServerContext* context, const v1::SetDesiredCapacityRequest* request,
    v1::AutoScalingGroup* answer) {
  return calls_.Write(context, "remuda.v1.AutoScalingService/SetDesiredCapacity", request, answer);
}

ServerUnaryReactor* AutoScalingService::TerminateInstance(
    CallbackServerContext* context, const v1::TerminateInstanceRequest* request,
    v1::Instance* answer) {
  return calls_.Write(context, "remuda.v1.AutoScalingService/TerminateInstance", request, answer);
}

ServerUnaryReactor* AutoScalingService::GetAutoScalingGroup(
    CallbackServerContext* context, const v1::GetAutoScalingGroupRequest* request,
    v1::AutoScalingGroup* answer) {
  return calls_.Read(context, request, answer);
}

ServerUnaryReactor* AutoScalingService::ListAutoScalingGroups(
    CallbackServerContext* context, const v1::ListAutoScalingGroupsRequest* request,
    v1::ListAutoScalingGroupsResponse* answer) {
  return calls_.Read(context, request, answer);
}

ServerUnaryReactor* AutoScalingService::GetInstance(CallbackServerContext* context,
                                                    const v1::GetInstanceRequest* request,
                                                    v1::Instance* answer) {
  return calls_.Read(context, request, answer);
}

ServerUnaryReactor* AutoScalingService::ListInstances(CallbackServerContext* context,
                                                      const v1::ListInstancesRequest* request,
                                                      v1::ListInstancesResponse* answer) {
  return calls_.Read(context, request, answer);
}

ServerWriteReactor<v1::WatchInstancesResponse>* AutoScalingService::WatchInstances(
    CallbackServerContext*, const v1::WatchInstancesRequest* request) {
  return watches::Instances(calls_.controller(), *request);
}

ServerWriteReactor<v1::WatchInstanceLogsResponse>* AutoScalingService::WatchInstanceLogs(
    CallbackServerContext*, const v1::WatchInstanceLogsRequest* request) {
  return watches::InstanceLogs(calls_.controller(), *request);
}

ServerUnaryReactor* DeploymentService::CreateDeployment(CallbackServerContext* context,
                                                        const v1::CreateDeploymentRequest* request,
                                                        v1::Deployment* answer) {
  return calls_.Write(context, "remuda.v1.DeploymentService/CreateDeployment", request, answer);
}

ServerUnaryReactor* DeploymentService::PauseDeployment(CallbackServerContext* context,
                                                       const v1::PauseDeploymentRequest* request,
                                                       v1::Deployment* answer) {
  return calls_.Write(context, "remuda.v1.DeploymentService/PauseDeployment", request, answer);
}

ServerUnaryReactor* DeploymentService::ResumeDeployment(CallbackServerContext* context,
                                                        const v1::ResumeDeploymentRequest* request,
                                                        v1::Deployment* answer) {
  return calls_.Write(context, "remuda.v1.DeploymentService/ResumeDeployment", request, answer);
}

ServerUnaryReactor* DeploymentService::PromoteDeployment(
    CallbackServerContext* context, const v1::PromoteDeploymentRequest* request,
    v1::Deployment* answer) {
  return calls_.Write(context, "remuda.v1.DeploymentService/PromoteDeployment", request, answer);
}

ServerUnaryReactor* DeploymentService::RollbackDeployment(
    CallbackServerContext* context, const v1::RollbackDeploymentRequest* request,
    v1::Deployment* answer) {
  return calls_.Write(context, "remuda.v1.DeploymentService/RollbackDeployment", request, answer);
}

ServerUnaryReactor* DeploymentService::GetDeployment(CallbackServerContext* context,
                                                     const v1::GetDeploymentRequest* request,
                                                     v1::Deployment* answer) {
  return calls_.Read(context, request, answer);
}

ServerUnaryReactor* DeploymentService::ListDeployments(CallbackServerContext* context,
                                                       const v1::ListDeploymentsRequest* request,
                                                       v1::ListDeploymentsResponse* answer) {
  return calls_.Read(context, request, answer);
}

ServerWriteReactor<v1::WatchDeploymentResponse>* DeploymentService::WatchDeployment(
    CallbackServerContext*, const v1::WatchDeploymentRequest* request) {
  return watches::Deployment(calls_.controller(), *request);
}

ServerUnaryReactor* ClusterService::CordonHost(CallbackServerContext* context,
                                               const v1::CordonHostRequest* request,
                                               v1::Host* answer) {
  return calls_.Write(context, "remuda.v1.ClusterService/CordonHost", request, answer);
}

ServerUnaryReactor* ClusterService::UncordonHost(CallbackServerContext* context,
                                                 const v1::UncordonHostRequest* request,
                                                 v1::Host* answer) {
  return calls_.Write(context, "remuda.v1.ClusterService/UncordonHost", request, answer);
}

ServerUnaryReactor* ClusterService::DrainHost(CallbackServerContext* context,
                                              const v1::DrainHostRequest* request,
                                              v1::Host* answer) {
  return calls_.Write(context, "remuda.v1.ClusterService/DrainHost", request, answer);
}

ServerUnaryReactor* ClusterService::DeleteHost(CallbackServerContext* context,
                                               const v1::DeleteHostRequest* request,
                                               v1::DeleteHostResponse* answer) {
  return calls_.Write(context, "remuda.v1.ClusterService/DeleteHost", request, answer);
}

ServerUnaryReactor* ClusterService::DeleteProxy(CallbackServerContext* context,
                                                const v1::DeleteProxyRequest* request,
                                                v1::DeleteProxyResponse* answer) {
  return calls_.Write(context, "remuda.v1.ClusterService/DeleteProxy", request, answer);
}

ServerUnaryReactor* ClusterService::GetHost(CallbackServerContext* context,
                                            const v1::GetHostRequest* request, v1::Host* answer) {
  return calls_.Read(context, request, answer);
}

ServerUnaryReactor* ClusterService::ListHosts(CallbackServerContext* context,
                                              const v1::ListHostsRequest* request,
                                              v1::ListHostsResponse* answer) {
  return calls_.Read(context, request, answer);
}

ServerUnaryReactor* ClusterService::GetProxy(CallbackServerContext* context,
                                             const v1::GetProxyRequest* request,
                                             v1::Proxy* answer) {
  return calls_.Read(context, request, answer);
}

ServerUnaryReactor* ClusterService::ListProxies(CallbackServerContext* context,
                                                const v1::ListProxiesRequest* request,
                                                v1::ListProxiesResponse* answer) {
  return calls_.Read(context, request, answer);
}

ServerUnaryReactor* ClusterService::GetCluster(CallbackServerContext* context,
                                               const v1::GetClusterRequest*, v1::Cluster* answer) {
  return calls_.GetCluster(context, answer);
}

ServerUnaryReactor* ApplyService::ApplyResources(CallbackServerContext* context,
                                                 const v1::ApplyResourcesRequest* request,
                                                 v1::ApplyResourcesResponse* answer) {
  return calls_.Write(context, "remuda.v1.ApplyService/ApplyResources", request, answer);
}

ServerUnaryReactor* ActivityService::ListActivities(CallbackServerContext* context,
                                                    const v1::ListActivitiesRequest* request,
                                                    v1::ListActivitiesResponse* answer) {
  return calls_.Read(context, request, answer);
}

ServerWriteReactor<v1::WatchActivitiesResponse>* ActivityService::WatchActivities(
    CallbackServerContext*, const v1::WatchActivitiesRequest* request) {
  return watches::Activities(calls_.controller(), *request);
}

}  // namespace remuda
