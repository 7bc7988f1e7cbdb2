#include "cli/controller_client.h"

#include <absl/strings/str_split.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <thread>
#include <vector>

#include "cli/controller_target.h"
#include "cli/settings.h"
#include "common/identity/controller_addresses.h"
#include "common/identity/dial.h"
#include "common/identity/renewer.h"
#include "common/random_bytes.h"

namespace remuda::cli {
namespace {

constexpr int kKeepaliveMs = 20'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
constexpr int kMaxReceiveBytes = 16 << 20;
// Of several controllers each is given so long to answer a connection.
constexpr int kConnectTimeoutMs = 2'000;
// Where there are several, and none leads just now, a call is tried so long: a take-over takes
// seconds.
constexpr std::chrono::milliseconds kTakeOverPatience{8'000};
constexpr std::chrono::milliseconds kFirstWait{50};
constexpr std::chrono::milliseconds kLongestWait{500};

// Who is in more of a hurry than this (completion) renews nothing, and asks nothing beside.
constexpr std::chrono::milliseconds kMinRenewalTime{2'000};
// How often a context's controllers are asked where they are, and how long that may take.
constexpr std::chrono::hours kLearnPeriod{24};
constexpr std::chrono::milliseconds kLearnTimeout{1'000};
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
  const std::vector<std::string> controllers = absl::StrSplit(own.controller, ',');
  if (controllers.size() > 1) {
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
    // What would be derived from the target is no name.
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "remuda-controller");
    arguments.SetSslTargetNameOverride("remuda-controller");
  }
  const auto channel = grpc::CreateCustomChannel(
      TargetOf(controllers), own.dial == nullptr ? nullptr : own.dial->Credentials(), arguments);
  if (own.dial != nullptr && own.timeout >= kMinRenewalTime) RenewInTime(*own.dial, channel);
  return channel;
}

// Whether a second one changes nothing that the first has not: it only reads, or it has an id by
// which the controller knows that it has answered it.
bool IsRepeatable(const google::protobuf::Message& request) {
  const std::string& name = request.GetDescriptor()->name();
  if (name.starts_with("Get") || name.starts_with("List")) return true;
  const auto* id = request.GetDescriptor()->FindFieldByName("request_id");
  return id != nullptr && id->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_STRING &&
         !id->is_repeated() && !request.GetReflection()->GetString(request, id).empty();
}

using FileClock = std::filesystem::file_time_type::clock;

// Where they say that they are, the leader first; of one controller alone, nothing.
v1::ControllerAddresses AddressesOf(const v1::ListControllersResponse& list) {
  v1::ControllerAddresses out;
  for (const bool leads : {true, false}) {
    for (const v1::Controller& one : list.controllers()) {
      if ((one.state() == v1::CONTROLLER_STATE_LEADER) == leads) out.add_addresses(one.address());
    }
  }
  return out;
}

}  // namespace

void ControllerClient::Learn(const v1::ListControllersResponse& list) const {
  const std::string& file = settings_.controllers_file;
  if (file.empty()) return;
  identity::ControllerAddresses known(
      {.given = absl::StrSplit(settings_.controller, ','), .file = file});
  known.Learn(AddressesOf(list));
  // Also where nothing is new: that it was asked.
  std::ofstream(file, std::ios::app).close();
  std::error_code ignored;
  std::filesystem::last_write_time(file, FileClock::now(), ignored);
}

void ControllerClient::LearnControllers() const {
  static std::atomic<bool> is_done = false;
  const std::string& file = settings_.controllers_file;
  if (file.empty() || settings_.timeout < kMinRenewalTime || is_done.exchange(true)) return;
  std::error_code error;
  const auto now = FileClock::now();
  const auto asked = std::filesystem::last_write_time(file, error);
  if (!error && asked <= now && now - asked < kLearnPeriod) return;
  v1::ListControllersResponse list;
  grpc::ClientContext context;
  SetDeadline(context, kLearnTimeout);
  if (cluster->ListControllers(&context, {}, &list).ok()) Learn(list);
}

grpc::Status ControllerClient::Repeat(const google::protobuf::Message& request,
                                      const OneCall& call) const {
  const auto now = [] { return std::chrono::steady_clock::now(); };
  const bool may_repeat = IsRepeatable(request);
  const auto begun = now();
  const auto patience_end = begun + std::min(settings_.timeout * 4 / 5, kTakeOverPatience);
  auto wait = kFirstWait;
  while (true) {
    const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(now() - begun);
    // The last try has time left for its answer.
    const auto least = std::min(settings_.timeout, kFirstWait);
    const grpc::Status status = call(std::max(settings_.timeout - spent, least));
    if (status.ok() || !may_repeat || now() + wait > patience_end) return status;
    // What an address alone leads to may be several controllers too.
    const absl::Status why = FromGrpcStatus(status);
    if (!HasNoLeader(why) && !(has_several_ && IsUnreachable(why))) return status;
    std::this_thread::sleep_for(wait);
    wait = std::min(wait * 2, kLongestWait);
    // gRPC goes on connecting only while somebody waits.
    if (!channel_->WaitForConnected(std::chrono::system_clock::now() + (patience_end - now())))
      return status;
  }
}

ControllerClient::ControllerClient(const Settings& settings)
    : settings_(settings),
      has_several_(settings.controller.find(',') != std::string::npos),
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
