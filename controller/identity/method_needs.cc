// The table of roles.h. A method that the server has and this has not fails a test
// (tests/unit/controller/identity/roles_test.cc), and until then nobody may call it.
#include <array>
#include <unordered_map>

#include "controller/identity/roles.h"

namespace remuda {

const std::vector<MethodNeed>& MethodNeeds() {
  using enum Need;
  static const auto* const kTable = new std::vector<MethodNeed>{
      {"remuda.v1.TargetGroupService/CreateTargetGroup", kOperate},
      {"remuda.v1.TargetGroupService/UpdateTargetGroup", kOperate},
      {"remuda.v1.TargetGroupService/DeleteTargetGroup", kOperate},
      {"remuda.v1.TargetGroupService/RegisterTargets", kOperate},
      {"remuda.v1.TargetGroupService/DeregisterTargets", kOperate},
      {"remuda.v1.TargetGroupService/GetTargetGroup", kView},
      {"remuda.v1.TargetGroupService/ListTargetGroups", kView},
      {"remuda.v1.TargetGroupService/ListTargets", kView},
      {"remuda.v1.TargetGroupService/WatchTargets", kView},

      {"remuda.v1.LoadBalancerService/CreateLoadBalancer", kOperate},
      {"remuda.v1.LoadBalancerService/UpdateLoadBalancer", kOperate},
      {"remuda.v1.LoadBalancerService/DeleteLoadBalancer", kOperate},
      {"remuda.v1.LoadBalancerService/GetLoadBalancer", kView},
      {"remuda.v1.LoadBalancerService/ListLoadBalancers", kView},

      {"remuda.v1.ListenerService/CreateListener", kOperate},
      {"remuda.v1.ListenerService/UpdateListener", kOperate},
      {"remuda.v1.ListenerService/DeleteListener", kOperate},
      {"remuda.v1.ListenerService/CreateRule", kOperate},
      {"remuda.v1.ListenerService/UpdateRule", kOperate},
      {"remuda.v1.ListenerService/DeleteRule", kOperate},
      {"remuda.v1.ListenerService/SetRulePriorities", kOperate},
      {"remuda.v1.ListenerService/GetListener", kView},
      {"remuda.v1.ListenerService/ListListeners", kView},
      {"remuda.v1.ListenerService/GetRule", kView},
      {"remuda.v1.ListenerService/ListRules", kView},

      {"remuda.v1.CertificateService/CreateCertificate", kOperate},
      {"remuda.v1.CertificateService/UpdateCertificate", kOperate},
      {"remuda.v1.CertificateService/DeleteCertificate", kOperate},
      {"remuda.v1.CertificateService/GetCertificate", kView},
      {"remuda.v1.CertificateService/ListCertificates", kView},

      {"remuda.v1.SecurityGroupService/CreateSecurityGroup", kAdminister},
      {"remuda.v1.SecurityGroupService/UpdateSecurityGroup", kAdminister},
      {"remuda.v1.SecurityGroupService/DeleteSecurityGroup", kAdminister},
      {"remuda.v1.SecurityGroupService/GetSecurityGroup", kView},
      {"remuda.v1.SecurityGroupService/ListSecurityGroups", kView},

      {"remuda.v1.ImageService/PushImage", kPushImage},
      {"remuda.v1.ImageService/CreateImage", kDeploy},
      {"remuda.v1.ImageService/GetImage", kView},
      {"remuda.v1.ImageService/ListImages", kView},
      {"remuda.v1.ImageService/DeleteImage", kOperate},
      {"remuda.v1.ImageService/FetchImage", kFetchImage},

      {"remuda.v1.LaunchTemplateService/CreateLaunchTemplateVersion", kDeployAny},
      {"remuda.v1.LaunchTemplateService/DeleteLaunchTemplateVersion", kOperate},
      {"remuda.v1.LaunchTemplateService/UpdateLaunchTemplate", kOperate},
      {"remuda.v1.LaunchTemplateService/DeleteLaunchTemplate", kOperate},
      {"remuda.v1.LaunchTemplateService/GetLaunchTemplateVersion", kView},
      {"remuda.v1.LaunchTemplateService/ListLaunchTemplateVersions", kView},
      {"remuda.v1.LaunchTemplateService/GetLaunchTemplate", kView},
      {"remuda.v1.LaunchTemplateService/ListLaunchTemplates", kView},

      {"remuda.v1.AutoScalingService/CreateAutoScalingGroup", kOperate},
      {"remuda.v1.AutoScalingService/UpdateAutoScalingGroup", kOperate},
      {"remuda.v1.AutoScalingService/DeleteAutoScalingGroup", kOperate},
      {"remuda.v1.AutoScalingService/SetDesiredCapacity", kOperate},
      {"remuda.v1.AutoScalingService/TerminateInstance", kOperate},
      {"remuda.v1.AutoScalingService/GetAutoScalingGroup", kView},
      {"remuda.v1.AutoScalingService/ListAutoScalingGroups", kView},
      {"remuda.v1.AutoScalingService/GetInstance", kView},
      {"remuda.v1.AutoScalingService/ListInstances", kView},
      {"remuda.v1.AutoScalingService/WatchInstances", kView},
      {"remuda.v1.AutoScalingService/WatchInstanceLogs", kView},

      {"remuda.v1.ScalingPolicyService/PutScalingPolicy", kOperate},
      {"remuda.v1.ScalingPolicyService/DeleteScalingPolicy", kOperate},
      {"remuda.v1.ScalingPolicyService/ListScalingPolicies", kView},
      {"remuda.v1.ScalingPolicyService/ListScalingEvaluations", kView},
      {"remuda.v1.ScalingPolicyService/GetPredictiveForecast", kView},

      {"remuda.v1.MetricsService/GetMetrics", kView},
      {"remuda.v1.MetricsService/WatchMetrics", kView},
      {"remuda.v1.MetricsService/PutMetricData", kOperate},

      {"remuda.v1.LifecycleService/SetInstanceProtection", kOperate},
      {"remuda.v1.LifecycleService/EnterStandby", kOperate},
      {"remuda.v1.LifecycleService/ExitStandby", kOperate},
      {"remuda.v1.LifecycleService/AttachInstance", kOperate},
      {"remuda.v1.LifecycleService/DetachInstance", kOperate},
      {"remuda.v1.LifecycleService/CompleteLifecycleAction", kOperate},
      {"remuda.v1.LifecycleService/RecordLifecycleActionHeartbeat", kOperate},
      {"remuda.v1.LifecycleService/SuspendProcesses", kOperate},
      {"remuda.v1.LifecycleService/ResumeProcesses", kOperate},
      {"remuda.v1.LifecycleService/AttachTargetGroups", kOperate},
      {"remuda.v1.LifecycleService/DetachTargetGroups", kOperate},
      {"remuda.v1.LifecycleService/StartInstanceRefresh", kDeploy},

      {"remuda.v1.DeploymentService/CreateDeployment", kDeploy},
      {"remuda.v1.DeploymentService/PauseDeployment", kDeploy},
      {"remuda.v1.DeploymentService/ResumeDeployment", kDeploy},
      {"remuda.v1.DeploymentService/PromoteDeployment", kDeploy},
      {"remuda.v1.DeploymentService/ApproveDeployment", kDeploy},
      {"remuda.v1.DeploymentService/RollbackDeployment", kDeploy},
      {"remuda.v1.DeploymentService/AbortDeployment", kDeploy},
      {"remuda.v1.DeploymentService/GetDeployment", kView},
      {"remuda.v1.DeploymentService/ListDeployments", kView},
      {"remuda.v1.DeploymentService/WatchDeployment", kView},

      {"remuda.v1.ApplyService/ApplyResources", kApply},

      {"remuda.v1.ActivityService/ListActivities", kView},
      {"remuda.v1.ActivityService/WatchActivities", kView},

      {"remuda.v1.ClusterService/GetCluster", kViewOrServe},
      {"remuda.v1.ClusterService/ListControllers", kView},
      {"remuda.v1.ClusterService/GetHost", kView},
      {"remuda.v1.ClusterService/ListHosts", kView},
      {"remuda.v1.ClusterService/CordonHost", kOperate},
      {"remuda.v1.ClusterService/UncordonHost", kOperate},
      {"remuda.v1.ClusterService/DrainHost", kOperate},
      {"remuda.v1.ClusterService/DeleteHost", kOperate},
      {"remuda.v1.ClusterService/GetProxy", kView},
      {"remuda.v1.ClusterService/ListProxies", kView},
      {"remuda.v1.ClusterService/DeleteProxy", kOperate},

      {"remuda.v1.SecretService/SetSecret", kAdminister},
      {"remuda.v1.SecretService/DeleteSecret", kAdminister},
      {"remuda.v1.SecretService/GetSecret", kView},
      {"remuda.v1.SecretService/ListSecrets", kView},

      {"remuda.v1.IdentityService/GetCaller", kIdentity},
      {"remuda.v1.IdentityService/GetTrustBundle", kIdentity},
      {"remuda.v1.IdentityService/RenewCertificate", kIdentity},
      {"remuda.v1.IdentityService/CreateJoinToken", kAdminister},
      {"remuda.v1.IdentityService/ListJoinTokens", kView},
      {"remuda.v1.IdentityService/DeleteJoinToken", kAdminister},
      {"remuda.v1.IdentityService/CreateUser", kAdminister},
      {"remuda.v1.IdentityService/GetUser", kView},
      {"remuda.v1.IdentityService/ListUsers", kView},
      {"remuda.v1.IdentityService/UpdateUser", kAdminister},
      {"remuda.v1.IdentityService/DeleteUser", kAdminister},
      {"remuda.v1.IdentityService/CreateRevocation", kAdminister},
      {"remuda.v1.IdentityService/ListRevocations", kView},
      {"remuda.v1.IdentityService/DeleteRevocation", kAdminister},

      {"remuda.v1.AuditService/ListAuditRecords", kView},
      {"remuda.v1.AuditService/WatchAuditRecords", kView},

      {"remuda.v1.BackupService/CreateBackup", kAdminister},

      {"remuda.agent.v1.AgentService/Connect", kAgent},
      {"remuda.proxy.v1.ProxyService/Connect", kProxy},
      {"remuda.controller.v1.PeerService/ReplicateImages", kController},

      {"grpc.health.v1.Health/Check", kIdentity},
      {"grpc.health.v1.Health/Watch", kIdentity},
      {"grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", kView},
      // Not served: who may is answered so (UNIMPLEMENTED), upon which grpcurl and buf ask v1alpha.
      {"grpc.reflection.v1.ServerReflection/ServerReflectionInfo", kView},
      {"grpc.channelz.v1.Channelz/GetTopChannels", kOperate},
      {"grpc.channelz.v1.Channelz/GetServers", kOperate},
      {"grpc.channelz.v1.Channelz/GetServer", kOperate},
      {"grpc.channelz.v1.Channelz/GetServerSockets", kOperate},
      {"grpc.channelz.v1.Channelz/GetChannel", kOperate},
      {"grpc.channelz.v1.Channelz/GetSubchannel", kOperate},
      {"grpc.channelz.v1.Channelz/GetSocket", kOperate},
  };
  return *kTable;
}

const MethodNeed* FindMethod(std::string_view method) {
  static const auto* const kByName = [] {
    auto* by_name = new std::unordered_map<std::string_view, const MethodNeed*>();
    for (const MethodNeed& row : MethodNeeds()) by_name->emplace(row.method, &row);
    return by_name;
  }();
  const auto it = kByName->find(method);
  return it == kByName->end() ? nullptr : it->second;
}

}  // namespace remuda
