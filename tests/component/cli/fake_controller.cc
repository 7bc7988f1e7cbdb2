#include "tests/component/cli/fake_controller.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "tests/component/cli/fake_answers.h"
#include "tests/component/cli/fake_deployments.h"
#include "tests/component/cli/fake_scaling.h"
#include "tests/component/cli/full_names.h"

namespace remuda::testing_cli {
namespace {

using grpc::ServerContext;

constexpr int kMaxStreams = 100;  // of one connection; as the controller does

size_t BeginOfTail(const std::string& text, int lines) {
  size_t begin = text.size();
  for (; lines > 0 && begin > 0; --lines) {
    const size_t end = begin < 2 ? std::string::npos : text.rfind('\n', begin - 2);
    begin = end == std::string::npos ? 0 : end + 1;
  }
  return begin;
}

class FakeApply final : public v1::ApplyService::Service {
 public:
  explicit FakeApply(FakeState& state) : state_(state) {}
  grpc::Status ApplyResources(ServerContext*, const v1::ApplyResourcesRequest* request,
                              v1::ApplyResourcesResponse* response) override {
    *response = state_.applied;
    return Note(state_, "ApplyResources", *request);
  }

 private:
  FakeState& state_;
};

class FakeAutoScaling final : public v1::AutoScalingService::Service {
 public:
  explicit FakeAutoScaling(FakeState& state) : state_(state) {}
  grpc::Status ListAutoScalingGroups(ServerContext*,
                                     const v1::ListAutoScalingGroupsRequest* request,
                                     v1::ListAutoScalingGroupsResponse* response) override {
    const grpc::Status status = Note(state_, "ListAutoScalingGroups", *request);
    const std::lock_guard lock(state_.mutex);
    Page(state_.groups, state_.page_size, *request, response,
         [&] { return response->add_auto_scaling_groups(); });
    return status;
  }
  grpc::Status GetAutoScalingGroup(ServerContext*, const v1::GetAutoScalingGroupRequest* request,
                                   v1::AutoScalingGroup* response) override {
    if (auto status = Note(state_, "GetAutoScalingGroup", *request); !status.ok()) return status;
    const std::lock_guard lock(state_.mutex);
    for (const auto& group : state_.groups) {
      if (group.name() != request->name()) continue;
      *response = group;
      return grpc::Status::OK;
    }
    return ToGrpcStatus(NotFound(request->name()));
  }
  grpc::Status SetDesiredCapacity(ServerContext*, const v1::SetDesiredCapacityRequest* request,
                                  v1::AutoScalingGroup* response) override {
    response->set_name(request->name());
    response->set_desired(request->desired());
    return Note(state_, "SetDesiredCapacity", *request);
  }
  grpc::Status UpdateAutoScalingGroup(ServerContext*,
                                      const v1::UpdateAutoScalingGroupRequest* request,
                                      v1::AutoScalingGroup* response) override {
    *response = request->auto_scaling_group();
    return Note(state_, "UpdateAutoScalingGroup", *request);
  }
  grpc::Status DeleteAutoScalingGroup(ServerContext*,
                                      const v1::DeleteAutoScalingGroupRequest* request,
                                      google::protobuf::Empty*) override {
    return Note(state_, "DeleteAutoScalingGroup", *request);
  }
  grpc::Status ListInstances(ServerContext*, const v1::ListInstancesRequest* request,
                             v1::ListInstancesResponse* response) override {
    const grpc::Status status = Note(state_, "ListInstances", *request);
    const std::lock_guard lock(state_.mutex);
    Page(state_.instances, state_.page_size, *request, response,
         [&] { return response->add_instances(); });
    return status;
  }
  grpc::Status GetInstance(ServerContext*, const v1::GetInstanceRequest* request,
                           v1::Instance* response) override {
    const std::lock_guard lock(state_.mutex);
    for (const auto& instance : state_.instances) {
      if (instance.name() != request->name()) continue;
      *response = instance;
      return grpc::Status::OK;
    }
    return ToGrpcStatus(NotFound(request->name()));
  }
  grpc::Status TerminateInstance(ServerContext*, const v1::TerminateInstanceRequest* request,
                                 v1::Instance* response) override {
    response->set_name(request->name());
    return Note(state_, "TerminateInstance", *request);
  }
  grpc::Status WatchInstanceLogs(
      ServerContext* context, const v1::WatchInstanceLogsRequest* request,
      grpc::ServerWriter<v1::WatchInstanceLogsResponse>* writer) override {
    if (auto status = Note(state_, "WatchInstanceLogs", *request); !status.ok()) return status;
    std::unique_lock lock(state_.mutex);
    if (request->tail_lines() > state_.most_log_lines)
      return {grpc::StatusCode::RESOURCE_EXHAUSTED, "the reader is too far behind"};
    size_t at = BeginOfTail(state_.log_text, request->tail_lines());
    while (true) {
      v1::WatchInstanceLogsResponse response;
      response.set_data(state_.log_text.substr(at));
      at = state_.log_text.size();
      if (!response.data().empty()) writer->Write(response);
      if (!request->follow() || !state_.hold_watch_open || context->IsCancelled()) break;
      state_.changed.wait_for(lock, std::chrono::milliseconds(20));
    }
    return state_.ends && request->follow()
               ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "it broke off")
               : grpc::Status::OK;
  }

 private:
  FakeState& state_;
};

class FakeImages final : public v1::ImageService::Service {
 public:
  explicit FakeImages(FakeState& state) : state_(state) {}
  grpc::Status PushImage(ServerContext*, grpc::ServerReader<v1::PushImageRequest>* reader,
                         v1::Image* image) override {
    v1::PushImageRequest request;
    if (!reader->Read(&request)) return {grpc::StatusCode::INVALID_ARGUMENT, "no header"};
    if (auto status = Note(state_, "PushImage", request); !status.ok()) return status;
    image->set_name("images/" + request.header().image_id());
    image->set_digest(request.header().digest());
    std::string bytes;
    while (reader->Read(&request)) bytes += request.chunk();
    const std::lock_guard lock(state_.mutex);
    state_.image_bytes = bytes;
    return grpc::Status::OK;
  }

 private:
  FakeState& state_;
};

class FakeCluster final : public v1::ClusterService::Service {
 public:
  explicit FakeCluster(FakeState& state) : state_(state) {}
  grpc::Status ListControllers(ServerContext*, const v1::ListControllersRequest* request,
                               v1::ListControllersResponse* response) override {
    const grpc::Status status = Note(state_, "ListControllers", *request);
    const std::lock_guard lock(state_.mutex);
    for (const auto& controller : state_.controllers) *response->add_controllers() = controller;
    return status;
  }
  grpc::Status ListHosts(ServerContext*, const v1::ListHostsRequest* request,
                         v1::ListHostsResponse* response) override {
    const grpc::Status status = Note(state_, "ListHosts", *request);
    const std::lock_guard lock(state_.mutex);
    for (const auto& host : state_.hosts) *response->add_hosts() = host;
    return status;
  }
  grpc::Status ListProxies(ServerContext*, const v1::ListProxiesRequest* request,
                           v1::ListProxiesResponse* response) override {
    const grpc::Status status = Note(state_, "ListProxies", *request);
    const std::lock_guard lock(state_.mutex);
    for (const auto& proxy : state_.proxies) *response->add_proxies() = proxy;
    return status;
  }
  grpc::Status DrainHost(ServerContext*, const v1::DrainHostRequest* request,
                         v1::Host* response) override {
    response->set_name(request->name());
    response->set_schedule(v1::HOST_SCHEDULE_DRAINING);
    return Note(state_, "DrainHost", *request);
  }
  grpc::Status GetHost(ServerContext*, const v1::GetHostRequest* request,
                       v1::Host* response) override {
    const std::lock_guard lock(state_.mutex);
    for (const auto& host : state_.hosts) {
      if (host.name() != request->name()) continue;
      *response = host;
      return grpc::Status::OK;
    }
    return {grpc::StatusCode::NOT_FOUND, request->name()};
  }

 private:
  FakeState& state_;
};

class FakeActivities final : public v1::ActivityService::Service {
 public:
  explicit FakeActivities(FakeState& state) : state_(state) {}
  grpc::Status ListActivities(ServerContext*, const v1::ListActivitiesRequest* request,
                              v1::ListActivitiesResponse* response) override {
    const grpc::Status status = Note(state_, "ListActivities", *request);
    const std::lock_guard lock(state_.mutex);
    Page(state_.activities, state_.page_size, *request, response,
         [&] { return response->add_activities(); });
    return status;
  }
  // Sends nothing: what was missed is in the list.
  grpc::Status WatchActivities(ServerContext* context, const v1::WatchActivitiesRequest* request,
                               grpc::ServerWriter<v1::WatchActivitiesResponse>*) override {
    const grpc::Status status = Note(state_, "WatchActivities", *request);
    std::unique_lock lock(state_.mutex);
    while (state_.hold_watch_open && !context->IsCancelled())
      state_.changed.wait_for(lock, std::chrono::milliseconds(20));
    return status;
  }

 private:
  FakeState& state_;
};

class FakeTargetGroups final : public v1::TargetGroupService::Service {
 public:
  explicit FakeTargetGroups(FakeState& state) : state_(state) {}
  grpc::Status RegisterTargets(ServerContext*, const v1::RegisterTargetsRequest* request,
                               v1::RegisterTargetsResponse* response) override {
    for (const auto& target : request->targets()) {
      auto* out = response->add_targets();
      out->set_name(request->target_group() + "/targets/" + target.address() + ":" +
                    std::to_string(target.port()));
      out->set_address(target.address());
      out->set_port(target.port());
    }
    return Note(state_, "RegisterTargets", *request);
  }
  grpc::Status ListTargets(ServerContext*, const v1::ListTargetsRequest* request,
                           v1::ListTargetsResponse* response) override {
    const grpc::Status status = Note(state_, "ListTargets", *request);
    const std::lock_guard lock(state_.mutex);
    for (const auto& target : state_.targets) *response->add_targets() = target;
    return status;
  }

 private:
  FakeState& state_;
};

class FakeLoadBalancers final : public v1::LoadBalancerService::Service {
 public:
  explicit FakeLoadBalancers(FakeState& state) : state_(state) {}
  grpc::Status ListLoadBalancers(ServerContext*, const v1::ListLoadBalancersRequest* request,
                                 v1::ListLoadBalancersResponse* response) override {
    const grpc::Status status = Note(state_, "ListLoadBalancers", *request);
    const std::lock_guard lock(state_.mutex);
    for (const auto& balancer : state_.load_balancers) *response->add_load_balancers() = balancer;
    return status;
  }

 private:
  FakeState& state_;
};

class FakeListeners final : public v1::ListenerService::Service {
 public:
  explicit FakeListeners(FakeState& state) : state_(state) {}
  grpc::Status CreateListener(ServerContext*, const v1::CreateListenerRequest* request,
                              v1::Listener* response) override {
    *response = request->listener();
    response->set_name(request->parent() + "/listeners/" + request->listener_id());
    return Note(state_, "CreateListener", *request);
  }
  grpc::Status UpdateListener(ServerContext*, const v1::UpdateListenerRequest* request,
                              v1::Listener* response) override {
    *response = request->listener();
    return Note(state_, "UpdateListener", *request);
  }
  grpc::Status DeleteListener(ServerContext*, const v1::DeleteListenerRequest* request,
                              google::protobuf::Empty*) override {
    return Note(state_, "DeleteListener", *request);
  }
  grpc::Status GetListener(ServerContext*, const v1::GetListenerRequest* request,
                           v1::Listener* response) override {
    return Find(state_.listeners, request->name(), response);
  }
  grpc::Status ListListeners(ServerContext*, const v1::ListListenersRequest* request,
                             v1::ListListenersResponse* response) override {
    const grpc::Status status = Note(state_, "ListListeners", *request);
    const std::lock_guard lock(state_.mutex);
    for (const auto& listener : state_.listeners) *response->add_listeners() = listener;
    return status;
  }
  grpc::Status CreateRule(ServerContext*, const v1::CreateRuleRequest* request,
                          v1::Rule* response) override {
    *response = request->rule();
    response->set_name(request->parent() + "/rules/" + request->rule_id());
    return Note(state_, "CreateRule", *request);
  }
  grpc::Status UpdateRule(ServerContext*, const v1::UpdateRuleRequest* request,
                          v1::Rule* response) override {
    *response = request->rule();
    return Note(state_, "UpdateRule", *request);
  }
  grpc::Status DeleteRule(ServerContext*, const v1::DeleteRuleRequest* request,
                          google::protobuf::Empty*) override {
    return Note(state_, "DeleteRule", *request);
  }
  grpc::Status GetRule(ServerContext*, const v1::GetRuleRequest* request,
                       v1::Rule* response) override {
    return Find(state_.rules, request->name(), response);
  }
  grpc::Status ListRules(ServerContext*, const v1::ListRulesRequest* request,
                         v1::ListRulesResponse* response) override {
    const grpc::Status status = Note(state_, "ListRules", *request);
    const std::lock_guard lock(state_.mutex);
    for (const auto& rule : state_.rules) *response->add_rules() = rule;
    return status;
  }
  grpc::Status SetRulePriorities(ServerContext*, const v1::SetRulePrioritiesRequest* request,
                                 v1::SetRulePrioritiesResponse* response) override {
    for (const auto& wish : request->priorities()) {
      auto& rule = *response->add_rules();
      rule.set_name(request->listener() + "/rules/" + wish.rule());
      rule.set_priority(wish.priority());
    }
    return Note(state_, "SetRulePriorities", *request);
  }

 private:
  template <typename Item>
  grpc::Status Find(const std::vector<Item>& all, const std::string& name, Item* response) {
    const std::lock_guard lock(state_.mutex);
    for (const Item& item : all) {
      if (item.name() != name) continue;
      *response = item;
      return grpc::Status::OK;
    }
    return ToGrpcStatus(NotFound(name));
  }

  FakeState& state_;
};

class FakeTemplates final : public v1::LaunchTemplateService::Service {
 public:
  explicit FakeTemplates(FakeState& state) : state_(state) {}
  grpc::Status ListLaunchTemplates(ServerContext*, const v1::ListLaunchTemplatesRequest* request,
                                   v1::ListLaunchTemplatesResponse* response) override {
    const grpc::Status status = Note(state_, "ListLaunchTemplates", *request);
    const std::lock_guard lock(state_.mutex);
    std::set<std::string> names;
    for (const auto& version : state_.versions)
      names.insert(version.name().substr(0, version.name().find("/versions/")));
    for (const std::string& name : names) response->add_launch_templates()->set_name(name);
    return status;
  }
  grpc::Status ListLaunchTemplateVersions(
      ServerContext*, const v1::ListLaunchTemplateVersionsRequest* request,
      v1::ListLaunchTemplateVersionsResponse* response) override {
    const grpc::Status status = Note(state_, "ListLaunchTemplateVersions", *request);
    const std::lock_guard lock(state_.mutex);
    for (const auto& version : state_.versions) *response->add_launch_template_versions() = version;
    return status;
  }
  grpc::Status GetLaunchTemplateVersion(ServerContext*,
                                        const v1::GetLaunchTemplateVersionRequest* request,
                                        v1::LaunchTemplateVersion* response) override {
    const grpc::Status status = Note(state_, "GetLaunchTemplateVersion", *request);
    const std::lock_guard lock(state_.mutex);
    if (!state_.versions.empty()) *response = state_.versions.back();
    return status;
  }
  grpc::Status UpdateLaunchTemplate(ServerContext*, const v1::UpdateLaunchTemplateRequest* request,
                                    v1::LaunchTemplate* response) override {
    const grpc::Status status = Note(state_, "UpdateLaunchTemplate", *request);
    *response = request->launch_template();
    return status;
  }

 private:
  FakeState& state_;
};

}  // namespace

FakeController::FakeController(int port) {
  services_.push_back(std::make_unique<FakeApply>(*state_));
  services_.push_back(std::make_unique<FakeAutoScaling>(*state_));
  services_.push_back(std::make_unique<FakeDeployments>(*state_));
  services_.push_back(std::make_unique<FakeImages>(*state_));
  services_.push_back(std::make_unique<FakeCluster>(*state_));
  services_.push_back(std::make_unique<FakeActivities>(*state_));
  services_.push_back(std::make_unique<FakeTargetGroups>(*state_));
  services_.push_back(std::make_unique<FakeTemplates>(*state_));
  services_.push_back(std::make_unique<FakeLoadBalancers>(*state_));
  services_.push_back(std::make_unique<FakeListeners>(*state_));
  services_.push_back(std::make_unique<FakeMetrics>(*state_));
  services_.push_back(std::make_unique<FakePolicies>(*state_));
  services_.push_back(std::make_unique<FakeLifecycle>(*state_));
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                           &port_);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreams);
  for (const auto& service : services_) builder.RegisterService(service.get());
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<MakeFullNames>());
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || port_ == 0) std::abort();
}

FakeController::~FakeController() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->hold_watch_open = false;
    state_->ends = true;
    state_->changed.notify_all();
  }
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
}

std::vector<std::string> FakeController::Requests(const std::string& method) {
  const std::lock_guard lock(state_->mutex);
  return state_->requests[method];
}

}  // namespace remuda::testing_cli
