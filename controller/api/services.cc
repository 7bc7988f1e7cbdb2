#include "controller/api/services.h"

#include <string>

#include "controller/api/audit_service.h"
#include "controller/api/identity_service.h"
#include "controller/api/watches.h"
#include "remuda/v1/activity.grpc.pb.h"
#include "remuda/v1/apply.grpc.pb.h"
#include "remuda/v1/auto_scaling.grpc.pb.h"
#include "remuda/v1/certificate.grpc.pb.h"
#include "remuda/v1/cluster.grpc.pb.h"
#include "remuda/v1/deployment.grpc.pb.h"
#include "remuda/v1/launch_template.grpc.pb.h"
#include "remuda/v1/lifecycle.grpc.pb.h"
#include "remuda/v1/listener.grpc.pb.h"
#include "remuda/v1/load_balancer.grpc.pb.h"
#include "remuda/v1/metrics.grpc.pb.h"
#include "remuda/v1/scaling_policy.grpc.pb.h"
#include "remuda/v1/secret.grpc.pb.h"
#include "remuda/v1/security_group.grpc.pb.h"
#include "remuda/v1/target_group.grpc.pb.h"

namespace remuda {
namespace {

using google::protobuf::Empty;

// A service of the API, made of the methods below.
template <class ApiService>
class On : public ApiService::CallbackService {
 public:
  using Api = ApiService;
  explicit On(Calls& calls) : calls_(calls) {}

 protected:
  Calls& calls_;
};

// A method's request is named after it (the API's rule), so a method is said by its name, what it
// does and what it answers with.
#define REMUDA_WRITE(Method, Answer)                                                              \
  grpc::ServerUnaryReactor* Method(grpc::CallbackServerContext* context,                          \
                                   const v1::Method##Request* request, Answer* answer) override { \
    static const std::string name = std::string(Api::service_full_name()) + "/" #Method;          \
    return calls_.Write(context, name, request, answer);                                          \
  }
#define REMUDA_READ(Method, Answer) REMUDA_READ_BY(Read, Method, Answer)
#define REMUDA_READ_BY(How, Method, Answer)                                                       \
  grpc::ServerUnaryReactor* Method(grpc::CallbackServerContext* context,                          \
                                   const v1::Method##Request* request, Answer* answer) override { \
    static const std::string name = std::string(Api::service_full_name()) + "/" #Method;          \
    return calls_.How(context, name, request, answer);                                            \
  }
#define REMUDA_WATCH(Method, Watch)                                                        \
  grpc::ServerWriteReactor<v1::Method##Response>* Method(                                  \
      grpc::CallbackServerContext* context, const v1::Method##Request* request) override { \
    static const std::string name = std::string(Api::service_full_name()) + "/" #Method;   \
    return Watch(calls_.controller(), calls_.AdmitTo(context, name, *request), *request);  \
  }

class TargetGroupService final : public On<v1::TargetGroupService> {
  using On::On;
  REMUDA_WRITE(CreateTargetGroup, v1::TargetGroup)
  REMUDA_WRITE(UpdateTargetGroup, v1::TargetGroup)
  REMUDA_WRITE(DeleteTargetGroup, Empty)
  REMUDA_WRITE(RegisterTargets, v1::RegisterTargetsResponse)
  REMUDA_WRITE(DeregisterTargets, v1::DeregisterTargetsResponse)
  REMUDA_READ_BY(ReadTargetGroups, GetTargetGroup, v1::TargetGroup)
  REMUDA_READ_BY(ReadTargetGroups, ListTargetGroups, v1::ListTargetGroupsResponse)
  REMUDA_READ(ListTargets, v1::ListTargetsResponse)
  REMUDA_WATCH(WatchTargets, watches::Targets)
};

class LoadBalancerService final : public On<v1::LoadBalancerService> {
  using On::On;
  REMUDA_WRITE(CreateLoadBalancer, v1::LoadBalancer)
  REMUDA_WRITE(UpdateLoadBalancer, v1::LoadBalancer)
  REMUDA_WRITE(DeleteLoadBalancer, Empty)
  REMUDA_READ(GetLoadBalancer, v1::LoadBalancer)
  REMUDA_READ(ListLoadBalancers, v1::ListLoadBalancersResponse)
};

class ListenerService final : public On<v1::ListenerService> {
  using On::On;
  REMUDA_WRITE(CreateListener, v1::Listener)
  REMUDA_WRITE(UpdateListener, v1::Listener)
  REMUDA_WRITE(DeleteListener, Empty)
  REMUDA_WRITE(CreateRule, v1::Rule)
  REMUDA_WRITE(UpdateRule, v1::Rule)
  REMUDA_WRITE(DeleteRule, Empty)
  REMUDA_WRITE(SetRulePriorities, v1::SetRulePrioritiesResponse)
  REMUDA_READ(GetListener, v1::Listener)
  REMUDA_READ(ListListeners, v1::ListListenersResponse)
  REMUDA_READ(GetRule, v1::Rule)
  REMUDA_READ(ListRules, v1::ListRulesResponse)
};

class CertificateService final : public On<v1::CertificateService> {
  using On::On;
  REMUDA_WRITE(CreateCertificate, v1::Certificate)
  REMUDA_WRITE(UpdateCertificate, v1::Certificate)
  REMUDA_WRITE(DeleteCertificate, Empty)
  REMUDA_READ(GetCertificate, v1::Certificate)
  REMUDA_READ(ListCertificates, v1::ListCertificatesResponse)
};

class SecretService final : public On<v1::SecretService> {
  using On::On;
  REMUDA_WRITE(SetSecret, v1::Secret)
  REMUDA_WRITE(DeleteSecret, Empty)
  REMUDA_READ(GetSecret, v1::Secret)
  REMUDA_READ(ListSecrets, v1::ListSecretsResponse)
};

class SecurityGroupService final : public On<v1::SecurityGroupService> {
  using On::On;
  REMUDA_WRITE(CreateSecurityGroup, v1::SecurityGroup)
  REMUDA_WRITE(UpdateSecurityGroup, v1::SecurityGroup)
  REMUDA_WRITE(DeleteSecurityGroup, Empty)
  REMUDA_READ(GetSecurityGroup, v1::SecurityGroup)
  REMUDA_READ(ListSecurityGroups, v1::ListSecurityGroupsResponse)
};

class LaunchTemplateService final : public On<v1::LaunchTemplateService> {
  using On::On;
  REMUDA_WRITE(CreateLaunchTemplateVersion, v1::LaunchTemplateVersion)
  REMUDA_WRITE(DeleteLaunchTemplateVersion, Empty)
  REMUDA_WRITE(UpdateLaunchTemplate, v1::LaunchTemplate)
  REMUDA_WRITE(DeleteLaunchTemplate, Empty)
  REMUDA_READ(GetLaunchTemplateVersion, v1::LaunchTemplateVersion)
  REMUDA_READ(ListLaunchTemplateVersions, v1::ListLaunchTemplateVersionsResponse)
  REMUDA_READ(GetLaunchTemplate, v1::LaunchTemplate)
  REMUDA_READ(ListLaunchTemplates, v1::ListLaunchTemplatesResponse)
};

class AutoScalingService final : public On<v1::AutoScalingService> {
  using On::On;
  REMUDA_WRITE(CreateAutoScalingGroup, v1::AutoScalingGroup)
  REMUDA_WRITE(UpdateAutoScalingGroup, v1::AutoScalingGroup)
  REMUDA_WRITE(DeleteAutoScalingGroup, Empty)
  REMUDA_WRITE(SetDesiredCapacity, v1::AutoScalingGroup)
  REMUDA_WRITE(TerminateInstance, v1::Instance)
  REMUDA_READ(GetAutoScalingGroup, v1::AutoScalingGroup)
  REMUDA_READ(ListAutoScalingGroups, v1::ListAutoScalingGroupsResponse)
  REMUDA_READ(GetInstance, v1::Instance)
  REMUDA_READ(ListInstances, v1::ListInstancesResponse)
  REMUDA_WATCH(WatchInstances, watches::Instances)
  REMUDA_WATCH(WatchInstanceLogs, watches::InstanceLogs)
};

class ScalingPolicyService final : public On<v1::ScalingPolicyService> {
  using On::On;
  REMUDA_WRITE(PutScalingPolicy, v1::ScalingPolicy)
  REMUDA_WRITE(DeleteScalingPolicy, Empty)
  REMUDA_READ(ListScalingPolicies, v1::ListScalingPoliciesResponse)
  REMUDA_READ(ListScalingEvaluations, v1::ListScalingEvaluationsResponse)
  REMUDA_READ(GetPredictiveForecast, v1::PredictiveForecast)
};

class MetricsService final : public On<v1::MetricsService> {
  using On::On;
  REMUDA_READ(GetMetrics, v1::GroupMetrics)
  REMUDA_WATCH(WatchMetrics, watches::GroupMetrics)
  grpc::ServerUnaryReactor* PutMetricData(grpc::CallbackServerContext* context,
                                          const v1::PutMetricDataRequest* request,
                                          v1::PutMetricDataResponse*) override {
    return calls_.PutMetricData(context, request);
  }
};

class LifecycleService final : public On<v1::LifecycleService> {
  using On::On;
  REMUDA_WRITE(SetInstanceProtection, v1::Instance)
  REMUDA_WRITE(EnterStandby, v1::Instance)
  REMUDA_WRITE(ExitStandby, v1::Instance)
  REMUDA_WRITE(AttachInstance, v1::Instance)
  REMUDA_WRITE(DetachInstance, v1::Instance)
  REMUDA_WRITE(CompleteLifecycleAction, v1::Instance)
  REMUDA_WRITE(RecordLifecycleActionHeartbeat, v1::Instance)
  REMUDA_WRITE(SuspendProcesses, v1::AutoScalingGroup)
  REMUDA_WRITE(ResumeProcesses, v1::AutoScalingGroup)
  REMUDA_WRITE(AttachTargetGroups, v1::AutoScalingGroup)
  REMUDA_WRITE(DetachTargetGroups, v1::AutoScalingGroup)
  REMUDA_WRITE(StartInstanceRefresh, v1::Deployment)
};

class DeploymentService final : public On<v1::DeploymentService> {
  using On::On;
  REMUDA_WRITE(CreateDeployment, v1::Deployment)
  REMUDA_WRITE(PauseDeployment, v1::Deployment)
  REMUDA_WRITE(ResumeDeployment, v1::Deployment)
  REMUDA_WRITE(PromoteDeployment, v1::Deployment)
  REMUDA_WRITE(ApproveDeployment, v1::Deployment)
  REMUDA_WRITE(RollbackDeployment, v1::Deployment)
  REMUDA_WRITE(AbortDeployment, v1::Deployment)
  REMUDA_READ(GetDeployment, v1::Deployment)
  REMUDA_READ(ListDeployments, v1::ListDeploymentsResponse)
  REMUDA_WATCH(WatchDeployment, watches::Deployment)
};

class ClusterService final : public On<v1::ClusterService> {
  using On::On;
  REMUDA_WRITE(CordonHost, v1::Host)
  REMUDA_WRITE(UncordonHost, v1::Host)
  REMUDA_WRITE(DrainHost, v1::Host)
  REMUDA_WRITE(DeleteHost, Empty)
  REMUDA_WRITE(DeleteProxy, Empty)
  REMUDA_READ(GetHost, v1::Host)
  REMUDA_READ(ListHosts, v1::ListHostsResponse)
  REMUDA_READ(GetProxy, v1::Proxy)
  REMUDA_READ(ListProxies, v1::ListProxiesResponse)
  grpc::ServerUnaryReactor* GetCluster(grpc::CallbackServerContext* context,
                                       const v1::GetClusterRequest* request,
                                       v1::Cluster* answer) override {
    return calls_.GetCluster(context, request, answer);
  }
  grpc::ServerUnaryReactor* ListControllers(grpc::CallbackServerContext* context,
                                            const v1::ListControllersRequest* request,
                                            v1::ListControllersResponse* answer) override {
    return calls_.ListControllers(context, request, answer);
  }
};

class ApplyService final : public On<v1::ApplyService> {
  using On::On;
  REMUDA_WRITE(ApplyResources, v1::ApplyResourcesResponse)
};

class ActivityService final : public On<v1::ActivityService> {
  using On::On;
  REMUDA_READ(ListActivities, v1::ListActivitiesResponse)
  REMUDA_WATCH(WatchActivities, watches::Activities)
};

#undef REMUDA_WRITE
#undef REMUDA_READ
#undef REMUDA_WATCH

template <class... Services>
std::vector<std::unique_ptr<grpc::Service>> MakeEach(Calls& calls) {
  std::vector<std::unique_ptr<grpc::Service>> made;
  (made.push_back(std::make_unique<Services>(calls)), ...);
  return made;
}

}  // namespace

std::vector<std::unique_ptr<grpc::Service>> MakeServices(Calls& calls) {
  auto services =
      MakeEach<TargetGroupService, LoadBalancerService, ListenerService, CertificateService,
               SecretService, SecurityGroupService, LaunchTemplateService, AutoScalingService,
               LifecycleService, ScalingPolicyService, MetricsService, DeploymentService,
               ClusterService, ApplyService, ActivityService, AuditService>(calls);
  services.push_back(MakeIdentityService(calls));
  return services;
}

}  // namespace remuda
