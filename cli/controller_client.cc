#include "cli/controller_client.h"

#include <absl/time/clock.h>

#include <atomic>
#include <iostream>

#include "cli/settings.h"
#include "common/identity/dial.h"
#include "common/identity/renewer.h"
#include "common/random_bytes.h"

namespace remuda::cli {
namespace {

constexpr int kKeepaliveMs = 20'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
constexpr int kMaxReceiveBytes = 16 << 20;

// Who is in more of a hurry than this (completion) renews nothing.
constexpr std::chrono::milliseconds kMinRenewalTime{2'000};
// A certificate that cannot be renewed is told of when it ends within this.
constexpr absl::Duration kWarnBeforeEnd = absl::Hours(72);

// Has a person's certificate renewed that is past two thirds of its life, once in a run. Best
// effort: what cannot be renewed now is still good, and is tried again by the next command.
void RenewInTime(const identity::Dial& dial, const std::shared_ptr<grpc::Channel>& channel) {
  static std::atomic<bool> is_done = false;
  if (!dial.files.has_value() || dial.self.id.role != v1::IDENTITY_ROLE_PERSON) return;
  if (absl::Now() < identity::RenewalTime(dial.self, 0) || is_done.exchange(true)) return;
  const auto held = identity::LoadIdentity(*dial.files);
  absl::Status renewed = held.status();
  if (held.ok()) renewed = identity::RenewIdentity(channel, *dial.files, *held);
  if (renewed.ok() || dial.self.expire_time - absl::Now() > kWarnBeforeEnd) return;
  std::cerr << "remuda: your certificate ends at "
            << absl::FormatTime(dial.self.expire_time, absl::UTCTimeZone())
            << " and cannot be renewed: " << renewed.message() << "\n";
}

std::shared_ptr<grpc::Channel> Dial(const Settings& settings) {
  grpc::ChannelArguments arguments;
  // A controller on loopback must not be looked for through http_proxy.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  arguments.SetUserAgentPrefix("remuda-cli");
  // A command's have been taken before it runs; what runs beside commands has what there is, and
  // its calls fail without.
  Settings own = settings;
  if (own.dial == nullptr) TakeIdentity(own).IgnoreError();
  const auto channel = grpc::CreateCustomChannel(
      own.controller, own.dial == nullptr ? nullptr : own.dial->Credentials(), arguments);
  if (own.dial != nullptr && own.timeout >= kMinRenewalTime) RenewInTime(*own.dial, channel);
  return channel;
}

}  // namespace

ControllerClient::ControllerClient(const Settings& settings)
    : settings_(settings),
      channel_(Dial(settings)),
      activities(v1::ActivityService::NewStub(channel_)),
      apply(v1::ApplyService::NewStub(channel_)),
      audit(v1::AuditService::NewStub(channel_)),
      auto_scaling(v1::AutoScalingService::NewStub(channel_)),
      backups(v1::BackupService::NewStub(channel_)),
      cluster(v1::ClusterService::NewStub(channel_)),
      deployments(v1::DeploymentService::NewStub(channel_)),
      identities(v1::IdentityService::NewStub(channel_)),
      images(v1::ImageService::NewStub(channel_)),
      launch_templates(v1::LaunchTemplateService::NewStub(channel_)),
      lifecycle(v1::LifecycleService::NewStub(channel_)),
      listeners(v1::ListenerService::NewStub(channel_)),
      load_balancers(v1::LoadBalancerService::NewStub(channel_)),
      certificates(v1::CertificateService::NewStub(channel_)),
      secrets(v1::SecretService::NewStub(channel_)),
      metrics(v1::MetricsService::NewStub(channel_)),
      scaling_policies(v1::ScalingPolicyService::NewStub(channel_)),
      security_groups(v1::SecurityGroupService::NewStub(channel_)),
      target_groups(v1::TargetGroupService::NewStub(channel_)) {}

std::string NewRequestId() { return "cli-" + RandomHex(24); }

}  // namespace remuda::cli
