// The controller's API for a command that waits for its answers: a stub a service, and a deadline
// on every call. Thread: the stubs are safe from any thread.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "cli/context.h"
#include "common/grpc_status.h"
#include "remuda/v1/activity.grpc.pb.h"
#include "remuda/v1/apply.grpc.pb.h"
#include "remuda/v1/audit.grpc.pb.h"
#include "remuda/v1/auto_scaling.grpc.pb.h"
#include "remuda/v1/backup.grpc.pb.h"
#include "remuda/v1/certificate.grpc.pb.h"
#include "remuda/v1/cluster.grpc.pb.h"
#include "remuda/v1/deployment.grpc.pb.h"
#include "remuda/v1/identity.grpc.pb.h"
#include "remuda/v1/image.grpc.pb.h"
#include "remuda/v1/launch_template.grpc.pb.h"
#include "remuda/v1/lifecycle.grpc.pb.h"
#include "remuda/v1/listener.grpc.pb.h"
#include "remuda/v1/load_balancer.grpc.pb.h"
#include "remuda/v1/metrics.grpc.pb.h"
#include "remuda/v1/scaling_policy.grpc.pb.h"
#include "remuda/v1/secret.grpc.pb.h"
#include "remuda/v1/security_group.grpc.pb.h"
#include "remuda/v1/target_group.grpc.pb.h"

namespace remuda::cli {

class ControllerClient {
 public:
  explicit ControllerClient(const Settings& settings);

  // One call: `client.Call<v1::Host>(*client.cluster, &Stub::CordonHost, request)`. Where none of
  // several controllers can be reached, or one says that none leads, for another one is about to
  // take over, it is made again for some seconds, if it may be: it reads, or has a request_id.
  template <typename Response, typename Stub, typename Method, typename Request>
  absl::StatusOr<Response> Call(Stub& stub, Method method, const Request& request) const {
    Response response;
    const grpc::Status status = Repeat(request, [&](std::chrono::milliseconds timeout) {
      grpc::ClientContext context;
      SetDeadline(context, timeout);
      return (stub.*method)(&context, request, &response);
    });
    if (!status.ok()) return FromGrpcStatus(status);
    LearnControllers();
    return response;
  }

  // What a controller says of where all are, for later commands in this context.
  void Learn(const v1::ListControllersResponse& list) const;

  static void SetDeadline(grpc::ClientContext& context, std::chrono::milliseconds timeout) {
    context.set_deadline(std::chrono::system_clock::now() + timeout);
  }

 private:
  using OneCall = std::function<grpc::Status(std::chrono::milliseconds timeout)>;
  grpc::Status Repeat(const google::protobuf::Message& request, const OneCall& call) const;
  // Asks that, once a day. Best effort.
  void LearnControllers() const;

  const Settings settings_;
  const bool has_several_;
  const std::shared_ptr<grpc::Channel> channel_;

 public:
  const std::unique_ptr<v1::ActivityService::Stub> activities;
  const std::unique_ptr<v1::ApplyService::Stub> apply;
  const std::unique_ptr<v1::AuditService::Stub> audit;
  const std::unique_ptr<v1::AutoScalingService::Stub> auto_scaling;
  const std::unique_ptr<v1::BackupService::Stub> backups;
  const std::unique_ptr<v1::ClusterService::Stub> cluster;
  const std::unique_ptr<v1::DeploymentService::Stub> deployments;
  const std::unique_ptr<v1::IdentityService::Stub> identities;
  const std::unique_ptr<v1::ImageService::Stub> images;
  const std::unique_ptr<v1::LaunchTemplateService::Stub> launch_templates;
  const std::unique_ptr<v1::LifecycleService::Stub> lifecycle;
  const std::unique_ptr<v1::ListenerService::Stub> listeners;
  const std::unique_ptr<v1::LoadBalancerService::Stub> load_balancers;
  const std::unique_ptr<v1::CertificateService::Stub> certificates;
  const std::unique_ptr<v1::SecretService::Stub> secrets;
  const std::unique_ptr<v1::MetricsService::Stub> metrics;
  const std::unique_ptr<v1::ScalingPolicyService::Stub> scaling_policies;
  const std::unique_ptr<v1::SecurityGroupService::Stub> security_groups;
  const std::unique_ptr<v1::TargetGroupService::Stub> target_groups;
};

// A text that no other call has, so that a repeat after a lost answer changes nothing twice.
std::string NewRequestId();

}  // namespace remuda::cli
