// The public API's services, but for images: translate, post to the loop, answer. Every write goes
// by core::ExecuteOnce, every read by core::Read. Thread: gRPC's, which only post.
#pragma once

#include "controller/calls.h"
#include "remuda/v1/activity.grpc.pb.h"
#include "remuda/v1/apply.grpc.pb.h"
#include "remuda/v1/auto_scaling.grpc.pb.h"
#include "remuda/v1/certificate.grpc.pb.h"
#include "remuda/v1/cluster.grpc.pb.h"
#include "remuda/v1/deployment.grpc.pb.h"
#include "remuda/v1/launch_template.grpc.pb.h"
#include "remuda/v1/load_balancer.grpc.pb.h"
#include "remuda/v1/target_group.grpc.pb.h"

namespace remuda {

class TargetGroupService final : public v1::TargetGroupService::CallbackService {
 public:
  explicit TargetGroupService(Calls& calls) : calls_(calls) {}

  grpc::ServerUnaryReactor* CreateTargetGroup(grpc::CallbackServerContext* context,
                                              const v1::CreateTargetGroupRequest* request,
                                              v1::TargetGroup* answer) override;
  grpc::ServerUnaryReactor* UpdateTargetGroup(grpc::CallbackServerContext* context,
                                              const v1::UpdateTargetGroupRequest* request,
                                              v1::TargetGroup* answer) override;
  grpc::ServerUnaryReactor* DeleteTargetGroup(grpc::CallbackServerContext* context,
                                              const v1::DeleteTargetGroupRequest* request,
                                              google::protobuf::Empty* answer) override;
  grpc::ServerUnaryReactor* RegisterTargets(grpc::CallbackServerContext* context,
                                            const v1::RegisterTargetsRequest* request,
                                            v1::RegisterTargetsResponse* answer) override;
  grpc::ServerUnaryReactor* DeregisterTargets(grpc::CallbackServerContext* context,
                                              const v1::DeregisterTargetsRequest* request,
                                              v1::DeregisterTargetsResponse* answer) override;
  grpc::ServerUnaryReactor* GetTargetGroup(grpc::CallbackServerContext* context,
                                           const v1::GetTargetGroupRequest* request,
                                           v1::TargetGroup* answer) override;
  grpc::ServerUnaryReactor* ListTargetGroups(grpc::CallbackServerContext* context,
                                             const v1::ListTargetGroupsRequest* request,
                                             v1::ListTargetGroupsResponse* answer) override;
  grpc::ServerUnaryReactor* ListTargets(grpc::CallbackServerContext* context,
                                        const v1::ListTargetsRequest* request,
                                        v1::ListTargetsResponse* answer) override;
  grpc::ServerWriteReactor<v1::WatchTargetsResponse>* WatchTargets(
      grpc::CallbackServerContext* context, const v1::WatchTargetsRequest* request) override;

 private:
  Calls& calls_;
};

class LoadBalancerService final : public v1::LoadBalancerService::CallbackService {
 public:
  explicit LoadBalancerService(Calls& calls) : calls_(calls) {}

  grpc::ServerUnaryReactor* CreateLoadBalancer(grpc::CallbackServerContext* context,
                                               const v1::CreateLoadBalancerRequest* request,
                                               v1::LoadBalancer* answer) override;
  grpc::ServerUnaryReactor* UpdateLoadBalancer(grpc::CallbackServerContext* context,
                                               const v1::UpdateLoadBalancerRequest* request,
                                               v1::LoadBalancer* answer) override;
  grpc::ServerUnaryReactor* DeleteLoadBalancer(grpc::CallbackServerContext* context,
                                               const v1::DeleteLoadBalancerRequest* request,
                                               google::protobuf::Empty* answer) override;
  grpc::ServerUnaryReactor* GetLoadBalancer(grpc::CallbackServerContext* context,
                                            const v1::GetLoadBalancerRequest* request,
                                            v1::LoadBalancer* answer) override;
  grpc::ServerUnaryReactor* ListLoadBalancers(grpc::CallbackServerContext* context,
                                              const v1::ListLoadBalancersRequest* request,
                                              v1::ListLoadBalancersResponse* answer) override;

 private:
  Calls& calls_;
};

class CertificateService final : public v1::CertificateService::CallbackService {
 public:
  explicit CertificateService(Calls& calls) : calls_(calls) {}

  grpc::ServerUnaryReactor* CreateCertificate(grpc::CallbackServerContext* context,
                                              const v1::CreateCertificateRequest* request,
                                              v1::Certificate* answer) override;
  grpc::ServerUnaryReactor* UpdateCertificate(grpc::CallbackServerContext* context,
                                              const v1::UpdateCertificateRequest* request,
                                              v1::Certificate* answer) override;
  grpc::ServerUnaryReactor* DeleteCertificate(grpc::CallbackServerContext* context,
                                              const v1::DeleteCertificateRequest* request,
                                              google::protobuf::Empty* answer) override;
  grpc::ServerUnaryReactor* GetCertificate(grpc::CallbackServerContext* context,
                                           const v1::GetCertificateRequest* request,
                                           v1::Certificate* answer) override;
  grpc::ServerUnaryReactor* ListCertificates(grpc::CallbackServerContext* context,
                                             const v1::ListCertificatesRequest* request,
                                             v1::ListCertificatesResponse* answer) override;

 private:
  Calls& calls_;
};

class LaunchTemplateService final : public v1::LaunchTemplateService::CallbackService {
 public:
  explicit LaunchTemplateService(Calls& calls) : calls_(calls) {}

  grpc::ServerUnaryReactor* CreateLaunchTemplateVersion(
      grpc::CallbackServerContext* context, const v1::CreateLaunchTemplateVersionRequest* request,
      v1::LaunchTemplate* answer) override;
  grpc::ServerUnaryReactor* DeleteLaunchTemplate(grpc::CallbackServerContext* context,
                                                 const v1::DeleteLaunchTemplateRequest* request,
                                                 google::protobuf::Empty* answer) override;
  grpc::ServerUnaryReactor* GetLaunchTemplate(grpc::CallbackServerContext* context,
                                              const v1::GetLaunchTemplateRequest* request,
                                              v1::LaunchTemplate* answer) override;
  grpc::ServerUnaryReactor* ListLaunchTemplates(grpc::CallbackServerContext* context,
                                                const v1::ListLaunchTemplatesRequest* request,
                                                v1::ListLaunchTemplatesResponse* answer) override;

 private:
  Calls& calls_;
};

class AutoScalingService final : public v1::AutoScalingService::CallbackService {
 public:
  explicit AutoScalingService(Calls& calls) : calls_(calls) {}

  grpc::ServerUnaryReactor* CreateAutoScalingGroup(grpc::CallbackServerContext* context,
                                                   const v1::CreateAutoScalingGroupRequest* request,
                                                   v1::AutoScalingGroup* answer) override;
  grpc::ServerUnaryReactor* UpdateAutoScalingGroup(grpc::CallbackServerContext* context,
                                                   const v1::UpdateAutoScalingGroupRequest* request,
                                                   v1::AutoScalingGroup* answer) override;
  grpc::ServerUnaryReactor* DeleteAutoScalingGroup(grpc::CallbackServerContext* context,
                                                   const v1::DeleteAutoScalingGroupRequest* request,
                                                   google::protobuf::Empty* answer) override;
  grpc::ServerUnaryReactor* SetDesiredCapacity(grpc::CallbackServerContext* context,
                                               const v1::SetDesiredCapacityRequest* request,
                                               v1::AutoScalingGroup* answer) override;
  grpc::ServerUnaryReactor* TerminateInstance(grpc::CallbackServerContext* context,
                                              const v1::TerminateInstanceRequest* request,
                                              v1::Instance* answer) override;
  grpc::ServerUnaryReactor* GetAutoScalingGroup(grpc::CallbackServerContext* context,
                                                const v1::GetAutoScalingGroupRequest* request,
                                                v1::AutoScalingGroup* answer) override;
  grpc::ServerUnaryReactor* ListAutoScalingGroups(
      grpc::CallbackServerContext* context, const v1::ListAutoScalingGroupsRequest* request,
      v1::ListAutoScalingGroupsResponse* answer) override;
  grpc::ServerUnaryReactor* GetInstance(grpc::CallbackServerContext* context,
                                        const v1::GetInstanceRequest* request,
                                        v1::Instance* answer) override;
  grpc::ServerUnaryReactor* ListInstances(grpc::CallbackServerContext* context,
                                          const v1::ListInstancesRequest* request,
                                          v1::ListInstancesResponse* answer) override;
  grpc::ServerWriteReactor<v1::WatchInstancesResponse>* WatchInstances(
      grpc::CallbackServerContext* context, const v1::WatchInstancesRequest* request) override;
  grpc::ServerWriteReactor<v1::WatchInstanceLogsResponse>* WatchInstanceLogs(
      grpc::CallbackServerContext* context, const v1::WatchInstanceLogsRequest* request) override;

 private:
  Calls& calls_;
};

class DeploymentService final : public v1::DeploymentService::CallbackService {
 public:
  explicit DeploymentService(Calls& calls) : calls_(calls) {}

  grpc::ServerUnaryReactor* CreateDeployment(grpc::CallbackServerContext* context,
                                             const v1::CreateDeploymentRequest* request,
                                             v1::Deployment* answer) override;
  grpc::ServerUnaryReactor* PauseDeployment(grpc::CallbackServerContext* context,
                                            const v1::PauseDeploymentRequest* request,
                                            v1::Deployment* answer) override;
  grpc::ServerUnaryReactor* ResumeDeployment(grpc::CallbackServerContext* context,
                                             const v1::ResumeDeploymentRequest* request,
                                             v1::Deployment* answer) override;
  grpc::ServerUnaryReactor* PromoteDeployment(grpc::CallbackServerContext* context,
                                              const v1::PromoteDeploymentRequest* request,
                                              v1::Deployment* answer) override;
  grpc::ServerUnaryReactor* RollbackDeployment(grpc::CallbackServerContext* context,
                                               const v1::RollbackDeploymentRequest* request,
                                               v1::Deployment* answer) override;
  grpc::ServerUnaryReactor* GetDeployment(grpc::CallbackServerContext* context,
                                          const v1::GetDeploymentRequest* request,
                                          v1::Deployment* answer) override;
  grpc::ServerUnaryReactor* ListDeployments(grpc::CallbackServerContext* context,
                                            const v1::ListDeploymentsRequest* request,
                                            v1::ListDeploymentsResponse* answer) override;
  grpc::ServerWriteReactor<v1::WatchDeploymentResponse>* WatchDeployment(
      grpc::CallbackServerContext* context, const v1::WatchDeploymentRequest* request) override;

 private:
  Calls& calls_;
};

class ClusterService final : public v1::ClusterService::CallbackService {
 public:
  explicit ClusterService(Calls& calls) : calls_(calls) {}

  grpc::ServerUnaryReactor* CordonHost(grpc::CallbackServerContext* context,
                                       const v1::CordonHostRequest* request,
                                       v1::Host* answer) override;
  grpc::ServerUnaryReactor* UncordonHost(grpc::CallbackServerContext* context,
                                         const v1::UncordonHostRequest* request,
                                         v1::Host* answer) override;
  grpc::ServerUnaryReactor* DrainHost(grpc::CallbackServerContext* context,
                                      const v1::DrainHostRequest* request,
                                      v1::Host* answer) override;
  grpc::ServerUnaryReactor* DeleteHost(grpc::CallbackServerContext* context,
                                       const v1::DeleteHostRequest* request,
                                       v1::DeleteHostResponse* answer) override;
  grpc::ServerUnaryReactor* DeleteProxy(grpc::CallbackServerContext* context,
                                        const v1::DeleteProxyRequest* request,
                                        v1::DeleteProxyResponse* answer) override;
  grpc::ServerUnaryReactor* GetHost(grpc::CallbackServerContext* context,
                                    const v1::GetHostRequest* request, v1::Host* answer) override;
  grpc::ServerUnaryReactor* ListHosts(grpc::CallbackServerContext* context,
                                      const v1::ListHostsRequest* request,
                                      v1::ListHostsResponse* answer) override;
  grpc::ServerUnaryReactor* GetProxy(grpc::CallbackServerContext* context,
                                     const v1::GetProxyRequest* request,
                                     v1::Proxy* answer) override;
  grpc::ServerUnaryReactor* ListProxies(grpc::CallbackServerContext* context,
                                        const v1::ListProxiesRequest* request,
                                        v1::ListProxiesResponse* answer) override;
  grpc::ServerUnaryReactor* GetCluster(grpc::CallbackServerContext* context,
                                       const v1::GetClusterRequest* request,
                                       v1::Cluster* answer) override;

 private:
  Calls& calls_;
};

class ApplyService final : public v1::ApplyService::CallbackService {
 public:
  explicit ApplyService(Calls& calls) : calls_(calls) {}

  grpc::ServerUnaryReactor* ApplyResources(grpc::CallbackServerContext* context,
                                           const v1::ApplyResourcesRequest* request,
                                           v1::ApplyResourcesResponse* answer) override;

 private:
  Calls& calls_;
};

class ActivityService final : public v1::ActivityService::CallbackService {
 public:
  explicit ActivityService(Calls& calls) : calls_(calls) {}

  grpc::ServerUnaryReactor* ListActivities(grpc::CallbackServerContext* context,
                                           const v1::ListActivitiesRequest* request,
                                           v1::ListActivitiesResponse* answer) override;
  grpc::ServerWriteReactor<v1::WatchActivitiesResponse>* WatchActivities(
      grpc::CallbackServerContext* context, const v1::WatchActivitiesRequest* request) override;

 private:
  Calls& calls_;
};

}  // namespace remuda
