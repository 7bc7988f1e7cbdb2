// A controller with a scripted agent and a scripted proxy. For *_test.cc of this folder.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "remuda/v1/apply.grpc.pb.h"
#include "remuda/v1/auto_scaling.grpc.pb.h"
#include "remuda/v1/cluster.grpc.pb.h"
#include "remuda/v1/image.grpc.pb.h"
#include "tests/component/controller/testing/controller_process.h"
#include "tests/component/controller/testing/fake_receivers.h"
#include "tests/component/controller/testing/tar.h"
#include "tests/wait.h"

namespace remuda {

class ClusterTest : public testing::Test {
 protected:
  void StartController(std::vector<std::string> flags = {}) {
    controller_.Start(std::move(flags));
    channel_ = controller_.Channel();
  }
  template <class Service, class Request, class Response>
  grpc::Status Call(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&,
                                                          Response*),
                    const Request& request, Response* response) {
    const auto stub = Service::NewStub(channel_);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    return (stub.get()->*method)(&context, request, response);
  }
  grpc::Status Push(const std::string& id, const std::string& bytes, v1::ImageHeader header,
                    v1::Image* image) {
    const auto stub = v1::ImageService::NewStub(channel_);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    const auto writer = stub->PushImage(&context, image);
    v1::PushImageRequest request;
    header.set_image_id(id);
    *request.mutable_header() = header;
    writer->Write(request);
    for (size_t at = 0; at < bytes.size(); at += 1 << 20) {
      request.set_chunk(bytes.substr(at, 1 << 20));
      if (!writer->Write(request)) break;
    }
    writer->WritesDone();
    return writer->Finish();
  }
  grpc::Status Apply(const v1::ApplyResourcesRequest& request) {
    v1::ApplyResourcesResponse response;
    return Call<v1::ApplyService>(&v1::ApplyService::Stub::ApplyResources, request, &response);
  }
  // Template shop, target group blue, group blue of `desired`, load balancer shop.
  void ApplyShop(int desired) {
    v1::Image image;
    ASSERT_TRUE(Push("shop-v1", TarOf("the app"), {}, &image).ok());
    v1::ApplyResourcesRequest request;
    auto& shop = *request.add_resources()->mutable_launch_template();
    shop.set_name("shop");
    shop.set_image("shop-v1");
    shop.add_command("app");
    request.add_resources()->mutable_target_group()->set_name("blue");
    auto& group = *request.add_resources()->mutable_auto_scaling_group();
    group.set_name("blue");
    group.mutable_launch_template()->set_launch_template("shop");
    group.set_min(desired);
    group.set_max(desired + 2);
    group.add_target_groups("blue");
    auto& balancer = *request.add_resources()->mutable_load_balancer();
    balancer.set_name("shop");
    auto& listener = *balancer.add_listeners();
    listener.set_port(8080);
    listener.mutable_default_action()->mutable_forward()->add_target_groups()->set_target_group(
        "blue");
    const grpc::Status status = Apply(request);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  // Waits until `condition` holds for the instances, by a watch.
  bool WaitForInstances(
      const std::function<bool(const std::map<std::string, v1::Instance>&)>& condition) {
    const auto stub = v1::AutoScalingService::NewStub(channel_);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    const auto reader = stub->WatchInstances(&context, {});
    std::map<std::string, v1::Instance> instances;
    v1::WatchInstancesResponse response;
    bool met = false;
    while (!met && reader->Read(&response)) {
      for (const auto& instance : response.instances()) instances[instance.name()] = instance;
      for (const std::string& name : response.removed()) instances.erase(name);
      met = condition(instances);
    }
    context.TryCancel();
    reader->Finish();
    return met;
  }
  bool WaitForInService(size_t count) {
    return WaitForInstances([count](const auto& instances) {
      size_t serving = 0;
      for (const auto& [name, instance] : instances)
        serving += instance.state() == v1::INSTANCE_STATE_IN_SERVICE ? 1 : 0;
      return serving == count;
    });
  }
  v1::Host GetHost(const std::string& name) {
    v1::GetHostRequest request;
    request.set_name("hosts/" + name);
    v1::Host host;
    const auto status =
        Call<v1::ClusterService>(&v1::ClusterService::Stub::GetHost, request, &host);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return host;
  }
  bool WaitForHost(const std::string& name, const std::function<bool(const v1::Host&)>& condition) {
    return WaitUntil([&] { return condition(GetHost(name)); }, kPatience);
  }
  v1::Proxy GetProxy(const std::string& name) {
    v1::GetProxyRequest request;
    request.set_name("proxies/" + name);
    v1::Proxy proxy;
    const auto status =
        Call<v1::ClusterService>(&v1::ClusterService::Stub::GetProxy, request, &proxy);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return proxy;
  }
  bool WaitForProxy(const std::string& name,
                    const std::function<bool(const v1::Proxy&)>& condition) {
    return WaitUntil([&] { return condition(GetProxy(name)); }, kPatience);
  }

  ControllerProcess controller_;
  std::shared_ptr<grpc::Channel> channel_;
  FakeAgent agent_{"h1", "10.0.0.1"};
  FakeProxy proxy_{"p1"};
};

// Whether that many targets may get requests.
inline bool HasActive(const FakeProxy::Had& had, size_t count) {
  size_t active = 0;
  for (const auto& [key, target] : had.targets) {
    const bool takes = target.state() == proxy::v1::Target::STATE_ACTIVE ||
                       target.state() == proxy::v1::Target::STATE_UNSPECIFIED;
    active += takes ? 1 : 0;
  }
  return active == count;
}

}  // namespace remuda
