#include "tests/bench/control/cluster.h"

#include <grpcpp/client_context.h>

#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>

#include "controller/core/model/time.h"
#include "remuda/v1/activity.grpc.pb.h"
#include "remuda/v1/apply.grpc.pb.h"
#include "remuda/v1/auto_scaling.grpc.pb.h"
#include "remuda/v1/deployment.grpc.pb.h"
#include "remuda/v1/image.grpc.pb.h"
#include "remuda/v1/launch_template.grpc.pb.h"
#include "remuda/v1/target_group.grpc.pb.h"
#include "tests/bench/control/turns.h"
#include "tests/component/controller/testing/tar.h"

namespace remuda::bench {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kCallTimeout{300};
constexpr milliseconds kReportInterval{5000};
constexpr milliseconds kReportTick{50};
constexpr milliseconds kPoll{100};
constexpr int kQuietPolls = 3;
// Of a core: more means that a turn is under way.
constexpr double kQuietCpu = 0.5;
constexpr int kResourcesARequest = 500;
constexpr int kMaxGroup = 1000;

void Check(const grpc::Status& status) {
  if (status.error_code() == grpc::DEADLINE_EXCEEDED) throw Overdue(status.error_message());
  if (!status.ok()) throw std::runtime_error(status.error_message());
}

template <class Stub, class Request, class Response>
Response Call(Stub& stub,
              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
              const Request& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  Response response;
  Check((stub.*method)(&context, request, &response));
  return response;
}

// Sends manifests as large as the controller takes.
class Manifest {
 public:
  explicit Manifest(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(v1::ApplyService::NewStub(channel)) {}
  v1::Resource& Add() {
    if (request_.resources_size() == kResourcesARequest) Apply();
    return *request_.add_resources();
  }
  void Apply() {
    Call(*stub_, &v1::ApplyService::Stub::ApplyResources, request_);
    request_.Clear();
  }

 private:
  const std::unique_ptr<v1::ApplyService::Stub> stub_;
  v1::ApplyResourcesRequest request_;
};

}  // namespace

Cluster::Cluster(Plant& the_plant, Size the_size) : plant(the_plant), size(the_size) {
  for (size_t i = 0; i < size.agents; ++i) {
    agents.push_back(std::make_unique<AgentPlayer>(
        AgentPlayer::Options{.name = "h" + std::to_string(i),
                             .address = "10." + std::to_string(i / 65536) + "." +
                                        std::to_string(i / 256 % 256) + "." +
                                        std::to_string(i % 256),
                             .zone = std::string(1, static_cast<char>('a' + i % 3))},
        tally));
  }
  for (size_t i = 0; i < size.proxies; ++i) {
    proxies.push_back(std::make_unique<ProxyPlayer>(
        ProxyPlayer::Options{.name = "p" + std::to_string(i),
                             .shard = "s" + std::to_string(i % size.shards)},
        tally));
  }
  reporter_ = std::thread([this] { Report(); });
}

Cluster::~Cluster() {
  is_reporting_ = false;
  reporter_.join();
  DisconnectAll();
}

void Cluster::DisconnectAll() {
  for (const auto& agent : agents) agent->Disconnect();
  for (const auto& proxy : proxies) proxy->Disconnect();
}

void Cluster::Report() {
  const size_t count = agents.size() + proxies.size();
  const auto begun = Clock::now();
  for (size_t next = 0; is_reporting_; ++next) {
    std::this_thread::sleep_until(begun + next * kReportInterval / count);
    if (!is_reporting_) return;
    const size_t index = next % count;
    if (index < agents.size()) {
      agents[index]->ReportUsage();
    } else {
      proxies[index - agents.size()]->ReportStats();
    }
  }
}

AgentPlayer::Dial Cluster::DialOf(Side side, size_t index) {
  return [this, side, index](LinkHandler& handler) { return plant.Dial(side, index, handler); };
}

void Cluster::Connect(Clock::time_point deadline) {
  for (size_t i = 0; i < agents.size(); ++i) agents[i]->Connect(DialOf(Side::kAgent, i));
  for (size_t i = 0; i < proxies.size(); ++i)
    proxies[i]->Connect(DialOf(Side::kProxy, agents.size() + i));
  while (true) {
    const std::string page = plant.Metrics();
    const auto sessions = MetricOf(page, "remuda_controller_agent_sessions") +
                          MetricOf(page, "remuda_controller_proxy_sessions");
    if (sessions >= static_cast<double>(agents.size() + proxies.size())) return;
    if (Clock::now() > deadline) throw Overdue("sessions of all receivers");
    std::this_thread::sleep_for(kPoll);
  }
}

void Cluster::PushImage() {
  const auto stub = v1::ImageService::NewStub(plant.admin());
  grpc::ClientContext context;
  v1::Image image;
  const auto writer = stub->PushImage(&context, &image);
  v1::PushImageRequest request;
  request.mutable_header()->set_image_id("app");
  writer->Write(request);
  request.set_chunk(TarOf("the app"));
  writer->Write(request);
  writer->WritesDone();
  Check(writer->Finish());
}

void Cluster::Prepare() {
  PushImage();
  Manifest manifest(plant.admin());
  auto& launch = *manifest.Add().mutable_launch_template();
  launch.set_name("app");
  launch.set_image("app");
  launch.add_command("app");
  manifest.Add().mutable_target_group()->set_name(kCommon);
  for (size_t i = 0; i < size.groups; ++i)
    manifest.Add().mutable_target_group()->set_name(TargetGroupOf(i));
  for (size_t shard = 0; shard < size.shards; ++shard) {
    auto& balancer = *manifest.Add().mutable_load_balancer();
    balancer.set_name("lb" + std::to_string(shard));
    if (size.shards > 1)
      (*balancer.mutable_proxy_selector())["shard"] = "s" + std::to_string(shard);
    auto& listener = *balancer.add_listeners();
    listener.set_port(kPort);
    listener.mutable_default_action()->mutable_forward()->add_target_groups()->set_target_group(
        kCommon);
    for (size_t i = shard; i < size.groups; i += size.shards) {
      auto& rule = *listener.add_rules();
      rule.set_priority(static_cast<int>(i) + 1);
      rule.add_conditions()->mutable_path_pattern()->add_values("/" + std::to_string(i) + "/*");
      rule.mutable_action()->mutable_forward()->add_target_groups()->set_target_group(
          TargetGroupOf(i));
    }
  }
  manifest.Apply();
}

void Cluster::ApplyGroups() {
  Manifest manifest(plant.admin());
  for (size_t i = 0; i < size.groups; ++i) {
    auto& group = *manifest.Add().mutable_auto_scaling_group();
    group.set_name("g" + std::to_string(i));
    group.mutable_launch_template()->set_launch_template("app");
    const size_t share = (size.instances + size.groups - 1 - i) / size.groups;
    group.set_min(static_cast<int>(share));
    group.set_max(kMaxGroup);
    group.add_target_groups(TargetGroupOf(i));
  }
  manifest.Apply();
}

size_t Cluster::ProxiesOf(size_t group) const {
  const size_t shard = group % size.shards;
  return (size.proxies + size.shards - 1 - shard) / size.shards;
}

void Cluster::Register(const std::string& target_group, const std::string& address) {
  const auto stub = v1::TargetGroupService::NewStub(plant.admin());
  v1::RegisterTargetsRequest request;
  request.set_target_group("targetGroups/" + target_group);
  auto& target = *request.add_targets();
  target.set_address(address);
  target.set_port(kPort);
  Call(*stub, &v1::TargetGroupService::Stub::RegisterTargets, request);
}

int Cluster::MakeVersion() {
  const auto stub = v1::LaunchTemplateService::NewStub(plant.admin());
  v1::CreateLaunchTemplateVersionRequest request;
  request.set_parent("launchTemplates/app");
  auto& version = *request.mutable_launch_template_version();
  version.set_image("app");
  version.add_command("app");
  version.add_command(std::to_string(++versions_));
  return Call(*stub, &v1::LaunchTemplateService::Stub::CreateLaunchTemplateVersion, request)
      .version();
}

std::vector<double> Cluster::Deploy(size_t group, int version, int shifts) {
  const auto stub = v1::DeploymentService::NewStub(plant.admin());
  v1::CreateDeploymentRequest request;
  auto& deployment = *request.mutable_deployment();
  deployment.set_auto_scaling_group("g" + std::to_string(group));
  deployment.mutable_to()->set_launch_template("app");
  deployment.mutable_to()->set_version(std::to_string(version));
  for (int i = 1; i <= shifts; ++i)
    deployment.mutable_strategy()->add_steps()->set_traffic(100 * i / (shifts + 1));
  v1::WatchDeploymentRequest watch;
  watch.set_name(Call(*stub, &v1::DeploymentService::Stub::CreateDeployment, request).name());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  const auto reader = stub->WatchDeployment(&context, watch);
  v1::WatchDeploymentResponse last;
  while (reader->Read(&last)) {
  }
  Check(reader->Finish());
  if (last.deployment().state() != v1::DEPLOYMENT_STATE_SUCCEEDED)
    throw std::runtime_error(watch.name() + ": " + last.deployment().rollback_reason());
  return ShiftsOf(watch.name());
}

std::vector<double> Cluster::ShiftsOf(const std::string& deployment) {
  const auto stub = v1::ActivityService::NewStub(plant.admin());
  v1::ListActivitiesRequest request;
  request.set_page_size(kMaxGroup);
  request.set_filter("deployment = \"" + deployment + "\"");
  const v1::ListActivitiesResponse all =
      Call(*stub, &v1::ActivityService::Stub::ListActivities, request);
  std::vector<double> seconds;
  absl::Time next = absl::InfiniteFuture();  // the newest is the first
  for (const v1::Activity& activity : all.activities()) {
    if (!activity.instance().empty()) continue;
    const absl::Time begun = core::FromProto(activity.start_time());
    if (activity.description().starts_with("Moving ") && next != absl::InfiniteFuture())
      seconds.push_back(absl::ToDoubleSeconds(next - begun));
    next = begun;
  }
  return seconds;
}

size_t Cluster::InService() {
  const auto stub = v1::AutoScalingService::NewStub(plant.admin());
  v1::ListAutoScalingGroupsRequest request;
  request.set_page_size(kMaxGroup);
  const v1::ListAutoScalingGroupsResponse groups =
      Call(*stub, &v1::AutoScalingService::Stub::ListAutoScalingGroups, request);
  size_t in_service = 0;
  for (const auto& group : groups.auto_scaling_groups())
    in_service += static_cast<size_t>(group.status().in_service());
  return in_service;
}

void Cluster::WaitForRunning(Clock::time_point deadline) {
  const auto wanted = static_cast<int64_t>(size.instances);
  if (!tally.WaitFor([&](const Counts& counts) { return counts.running >= wanted; }, deadline))
    throw Overdue("all instances assigned: " + std::to_string(tally.counts().running) + " of " +
                  std::to_string(wanted));
}

void Cluster::WaitForInService(Clock::time_point deadline) {
  while (true) {
    const size_t in_service = InService();
    if (in_service >= size.instances) return;
    if (Clock::now() > deadline) {
      throw Overdue("all instances in service: " + std::to_string(in_service) + " of " +
                    std::to_string(size.instances));
    }
    std::this_thread::sleep_for(kPoll);
  }
}

void Cluster::Settle(Clock::time_point deadline) {
  std::tuple<double, double, double> before;
  double cpu_before = plant.CpuSeconds();
  auto looked = Clock::now();
  for (int quiet = 0; quiet < kQuietPolls;) {
    if (Clock::now() > deadline) throw Overdue("rest");
    std::this_thread::sleep_for(kPoll);
    const std::string page = plant.Metrics();
    const std::tuple now(MetricOf(page, "remuda_controller_commit"),
                         MetricOf(page, "remuda_controller_updates_sent_total"),
                         MetricOf(page, "remuda_controller_acks_total"));
    const double cpu = plant.CpuSeconds();
    const double seconds = std::chrono::duration<double>(Clock::now() - looked).count();
    quiet = now == before && cpu - cpu_before < kQuietCpu * seconds ? quiet + 1 : 0;
    before = now;
    cpu_before = cpu;
    looked = Clock::now();
  }
}

}  // namespace remuda::bench
