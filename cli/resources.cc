#include "cli/resources.h"

#include <absl/strings/str_cat.h>

#include "cli/parts.h"

namespace remuda::cli {
namespace {

using google::protobuf::Message;

constexpr int kPageSize = 1000;

// All pages of a list. `items` says where a page's resources are.
template <typename Request, typename Response, typename Stub, typename Method, typename Items>
absl::StatusOr<ResourceList> Pages(const ControllerClient& client, Stub& stub, Method method,
                                   Request request, const ListFilter& filter, Items items) {
  const size_t limit = filter.limit;
  if constexpr (requires { request.set_filter(filter.filter); }) {
    request.set_filter(filter.filter);
  } else if (!filter.filter.empty()) {
    return absl::InvalidArgumentError("a list of these cannot be filtered");
  }
  ResourceList out;
  request.set_page_size(static_cast<int>(std::min<size_t>(limit, kPageSize)));
  while (true) {
    auto response = client.Call<Response>(stub, method, request);
    if (!response.ok()) return response.status();
    for (auto& item : *items(*response)) {
      if (out.size() >= limit) return out;
      using Item = std::decay_t<decltype(item)>;
      out.push_back(std::make_shared<Item>(std::move(item)));
    }
    if (response->next_page_token().empty() || out.size() >= limit) return out;
    request.set_page_token(response->next_page_token());
  }
}

template <typename Response, typename Request, typename Stub, typename Method>
absl::StatusOr<std::shared_ptr<Message>> One(const ControllerClient& client, Stub& stub,
                                             Method method, KindId kind, const std::string& id) {
  Request request;
  request.set_name(FullName(kind, id));
  auto response = client.Call<Response>(stub, method, request);
  if (!response.ok()) return response.status();
  return std::make_shared<Response>(*std::move(response));
}

template <typename Response, typename Request, typename Stub, typename Method>
absl::Status Remove(const ControllerClient& client, Stub& stub, Method method, Request request,
                    KindId kind, const std::string& id) {
  request.set_name(FullName(kind, id));
  request.set_request_id(NewRequestId());
  return client.Call<Response>(stub, method, request).status();
}

absl::StatusOr<ResourceList> ListTargets(const ControllerClient& client, const ListFilter& filter) {
  v1::ListTargetsRequest request;
  request.set_parent(filter.of.empty() ? "targetGroups/-" : filter.of);
  request.set_view(filter.is_full ? v1::TARGET_VIEW_FULL : v1::TARGET_VIEW_BASIC);
  return Pages<v1::ListTargetsRequest, v1::ListTargetsResponse>(
      client, *client.target_groups, &v1::TargetGroupService::Stub::ListTargets, request, filter,
      [](auto& r) { return r.mutable_targets(); });
}

absl::StatusOr<ResourceList> ListListeners(const ControllerClient& client,
                                           const ListFilter& filter) {
  v1::ListListenersRequest request;
  request.set_parent(filter.of.empty() ? PartParent(KindId::kListener, "") : filter.of);
  return Pages<v1::ListListenersRequest, v1::ListListenersResponse>(
      client, *client.listeners, &v1::ListenerService::Stub::ListListeners, request, filter,
      [](auto& r) { return r.mutable_listeners(); });
}

absl::StatusOr<ResourceList> ListRules(const ControllerClient& client, const ListFilter& filter) {
  v1::ListRulesRequest request;
  request.set_parent(filter.of.empty() ? PartParent(KindId::kRule, "") : filter.of);
  return Pages<v1::ListRulesRequest, v1::ListRulesResponse>(
      client, *client.listeners, &v1::ListenerService::Stub::ListRules, request, filter,
      [](auto& r) { return r.mutable_rules(); });
}

absl::StatusOr<ResourceList> ListInstances(const ControllerClient& client,
                                           const ListFilter& filter) {
  v1::ListInstancesRequest request;
  request.set_parent(filter.of);
  request.set_show_terminated(filter.show_terminated);
  return Pages<v1::ListInstancesRequest, v1::ListInstancesResponse>(
      client, *client.auto_scaling, &v1::AutoScalingService::Stub::ListInstances, request, filter,
      [](auto& r) { return r.mutable_instances(); });
}

absl::StatusOr<ResourceList> ListActivities(const ControllerClient& client,
                                            const ListFilter& filter) {
  v1::ListActivitiesRequest request;
  request.set_resource(filter.of);
  return Pages<v1::ListActivitiesRequest, v1::ListActivitiesResponse>(
      client, *client.activities, &v1::ActivityService::Stub::ListActivities, request, filter,
      [](auto& r) { return r.mutable_activities(); });
}

absl::StatusOr<ResourceList> ListDeployments(const ControllerClient& client,
                                             const ListFilter& filter) {
  v1::ListDeploymentsRequest request;
  if (filter.of.starts_with("loadBalancers/")) {
    request.set_load_balancer(filter.of);
  } else {
    request.set_auto_scaling_group(filter.of);
  }
  return Pages<v1::ListDeploymentsRequest, v1::ListDeploymentsResponse>(
      client, *client.deployments, &v1::DeploymentService::Stub::ListDeployments, request, filter,
      [](auto& r) { return r.mutable_deployments(); });
}

absl::StatusOr<ResourceList> ListVersions(const ControllerClient& client,
                                          const ListFilter& filter) {
  v1::ListLaunchTemplateVersionsRequest request;
  request.set_parent(filter.of);
  return Pages<v1::ListLaunchTemplateVersionsRequest, v1::ListLaunchTemplateVersionsResponse>(
      client, *client.launch_templates,
      &v1::LaunchTemplateService::Stub::ListLaunchTemplateVersions, request, filter,
      [](auto& r) { return r.mutable_launch_template_versions(); });
}

// All at once: there are few.
absl::StatusOr<ResourceList> ListControllers(const ControllerClient& client,
                                             const ListFilter& filter) {
  if (!filter.filter.empty())
    return absl::InvalidArgumentError("a list of these cannot be filtered");
  auto response = client.Call<v1::ListControllersResponse>(
      *client.cluster, &v1::ClusterService::Stub::ListControllers, v1::ListControllersRequest());
  if (!response.ok()) return response.status();
  client.Learn(*response);
  ResourceList out;
  for (v1::Controller& one : *response->mutable_controllers()) {
    if (out.size() < filter.limit) out.push_back(std::make_shared<v1::Controller>(std::move(one)));
  }
  return out;
}

absl::StatusOr<std::shared_ptr<Message>> GetController(const ControllerClient& client,
                                                       const std::string& id) {
  const auto all = ListControllers(client, {});
  if (!all.ok()) return all.status();
  const std::string name = FullName(KindId::kController, id);
  for (const auto& one : *all) {
    if (NameOf(*one) == name) return one;
  }
  return absl::NotFoundError("there is no " + name);
}

// The id with its version as the API writes it; the newest if it has none.
absl::StatusOr<std::string> VersionId(const std::string& id) {
  const auto ref = ParseTemplateRef(id);
  if (!ref.ok()) return ref.status();
  return absl::StrCat(ref->id, ":", ref->version.empty() ? "$Latest" : ref->version);
}

absl::Status Unsupported(KindId kind, const std::string& verb) {
  return absl::InvalidArgumentError(absl::StrCat(KindOf(kind).collection, " cannot be ", verb));
}

}  // namespace

std::string NameOf(const Message& resource) {
  const auto* field = resource.GetDescriptor()->FindFieldByName("name");
  return field == nullptr ? "" : resource.GetReflection()->GetString(resource, field);
}

bool ListsByName(KindId kind) { return kind == KindId::kTarget || kind == KindId::kActivity; }

absl::StatusOr<ResourceList> ListResources(const ControllerClient& client, KindId kind,
                                           const ListFilter& filter) {
  switch (kind) {
    case KindId::kActivity:
      return ListActivities(client, filter);
    case KindId::kController:
      return ListControllers(client, filter);
    case KindId::kDeployment:
      return ListDeployments(client, filter);
    case KindId::kInstance:
      return ListInstances(client, filter);
    case KindId::kLaunchTemplate:
      return Pages<v1::ListLaunchTemplatesRequest, v1::ListLaunchTemplatesResponse>(
          client, *client.launch_templates, &v1::LaunchTemplateService::Stub::ListLaunchTemplates,
          {}, filter, [](auto& r) { return r.mutable_launch_templates(); });
    case KindId::kLaunchTemplateVersion:
      return ListVersions(client, filter);
    case KindId::kListener:
      return ListListeners(client, filter);
    case KindId::kRule:
      return ListRules(client, filter);
    case KindId::kTarget:
      return ListTargets(client, filter);
    case KindId::kAutoScalingGroup:
      return Pages<v1::ListAutoScalingGroupsRequest, v1::ListAutoScalingGroupsResponse>(
          client, *client.auto_scaling, &v1::AutoScalingService::Stub::ListAutoScalingGroups, {},
          filter, [](auto& r) { return r.mutable_auto_scaling_groups(); });
    case KindId::kHost:
      return Pages<v1::ListHostsRequest, v1::ListHostsResponse>(
          client, *client.cluster, &v1::ClusterService::Stub::ListHosts, {}, filter,
          [](auto& r) { return r.mutable_hosts(); });
    case KindId::kImage:
      return Pages<v1::ListImagesRequest, v1::ListImagesResponse>(
          client, *client.images, &v1::ImageService::Stub::ListImages, {}, filter,
          [](auto& r) { return r.mutable_images(); });
    case KindId::kCertificate:
      return Pages<v1::ListCertificatesRequest, v1::ListCertificatesResponse>(
          client, *client.certificates, &v1::CertificateService::Stub::ListCertificates, {}, filter,
          [](auto& r) { return r.mutable_certificates(); });
    case KindId::kSecret:
      return Pages<v1::ListSecretsRequest, v1::ListSecretsResponse>(
          client, *client.secrets, &v1::SecretService::Stub::ListSecrets, {}, filter,
          [](auto& r) { return r.mutable_secrets(); });
    case KindId::kLoadBalancer:
      return Pages<v1::ListLoadBalancersRequest, v1::ListLoadBalancersResponse>(
          client, *client.load_balancers, &v1::LoadBalancerService::Stub::ListLoadBalancers, {},
          filter, [](auto& r) { return r.mutable_load_balancers(); });
    case KindId::kProxy:
      return Pages<v1::ListProxiesRequest, v1::ListProxiesResponse>(
          client, *client.cluster, &v1::ClusterService::Stub::ListProxies, {}, filter,
          [](auto& r) { return r.mutable_proxies(); });
    case KindId::kSecurityGroup:
      return Pages<v1::ListSecurityGroupsRequest, v1::ListSecurityGroupsResponse>(
          client, *client.security_groups, &v1::SecurityGroupService::Stub::ListSecurityGroups, {},
          filter, [](auto& r) { return r.mutable_security_groups(); });
    case KindId::kTargetGroup:
      return Pages<v1::ListTargetGroupsRequest, v1::ListTargetGroupsResponse>(
          client, *client.target_groups, &v1::TargetGroupService::Stub::ListTargetGroups, {},
          filter, [](auto& r) { return r.mutable_target_groups(); });
  }
  return Unsupported(kind, "listed");
}

absl::StatusOr<std::shared_ptr<Message>> GetResource(const ControllerClient& client, KindId kind,
                                                     const std::string& id) {
  switch (kind) {
    case KindId::kLaunchTemplate:
      return One<v1::LaunchTemplate, v1::GetLaunchTemplateRequest>(
          client, *client.launch_templates, &v1::LaunchTemplateService::Stub::GetLaunchTemplate,
          kind, id);
    case KindId::kLaunchTemplateVersion: {
      const auto version = VersionId(id);
      if (!version.ok()) return version.status();
      return One<v1::LaunchTemplateVersion, v1::GetLaunchTemplateVersionRequest>(
          client, *client.launch_templates,
          &v1::LaunchTemplateService::Stub::GetLaunchTemplateVersion, kind, *version);
    }
    case KindId::kAutoScalingGroup:
      return One<v1::AutoScalingGroup, v1::GetAutoScalingGroupRequest>(
          client, *client.auto_scaling, &v1::AutoScalingService::Stub::GetAutoScalingGroup, kind,
          id);
    case KindId::kController:
      return GetController(client, id);
    case KindId::kDeployment:
      return One<v1::Deployment, v1::GetDeploymentRequest>(
          client, *client.deployments, &v1::DeploymentService::Stub::GetDeployment, kind, id);
    case KindId::kHost:
      return One<v1::Host, v1::GetHostRequest>(client, *client.cluster,
                                               &v1::ClusterService::Stub::GetHost, kind, id);
    case KindId::kImage:
      return One<v1::Image, v1::GetImageRequest>(client, *client.images,
                                                 &v1::ImageService::Stub::GetImage, kind, id);
    case KindId::kInstance:
      return One<v1::Instance, v1::GetInstanceRequest>(
          client, *client.auto_scaling, &v1::AutoScalingService::Stub::GetInstance, kind, id);
    case KindId::kCertificate:
      return One<v1::Certificate, v1::GetCertificateRequest>(
          client, *client.certificates, &v1::CertificateService::Stub::GetCertificate, kind, id);
    case KindId::kSecret:
      return One<v1::Secret, v1::GetSecretRequest>(client, *client.secrets,
                                                   &v1::SecretService::Stub::GetSecret, kind, id);
    case KindId::kLoadBalancer:
      return One<v1::LoadBalancer, v1::GetLoadBalancerRequest>(
          client, *client.load_balancers, &v1::LoadBalancerService::Stub::GetLoadBalancer, kind,
          id);
    case KindId::kListener:
      return One<v1::Listener, v1::GetListenerRequest>(
          client, *client.listeners, &v1::ListenerService::Stub::GetListener, kind, id);
    case KindId::kRule:
      return One<v1::Rule, v1::GetRuleRequest>(client, *client.listeners,
                                               &v1::ListenerService::Stub::GetRule, kind, id);
    case KindId::kProxy:
      return One<v1::Proxy, v1::GetProxyRequest>(client, *client.cluster,
                                                 &v1::ClusterService::Stub::GetProxy, kind, id);
    case KindId::kSecurityGroup:
      return One<v1::SecurityGroup, v1::GetSecurityGroupRequest>(
          client, *client.security_groups, &v1::SecurityGroupService::Stub::GetSecurityGroup, kind,
          id);
    case KindId::kTargetGroup:
      return One<v1::TargetGroup, v1::GetTargetGroupRequest>(
          client, *client.target_groups, &v1::TargetGroupService::Stub::GetTargetGroup, kind, id);
    case KindId::kActivity:
    case KindId::kTarget:
      break;
  }
  return Unsupported(kind, "read one by one");
}

absl::Status DeleteResource(const ControllerClient& client, KindId kind, const std::string& id,
                            bool force) {
  using google::protobuf::Empty;
  switch (kind) {
    case KindId::kAutoScalingGroup: {
      v1::DeleteAutoScalingGroupRequest request;
      request.set_force(force);
      return Remove<Empty>(client, *client.auto_scaling,
                           &v1::AutoScalingService::Stub::DeleteAutoScalingGroup, request, kind,
                           id);
    }
    case KindId::kLaunchTemplate:
      return Remove<Empty>(client, *client.launch_templates,
                           &v1::LaunchTemplateService::Stub::DeleteLaunchTemplate,
                           v1::DeleteLaunchTemplateRequest(), kind, id);
    case KindId::kLaunchTemplateVersion:
      if (id.find(':') == std::string::npos)
        return absl::InvalidArgumentError("which version? Give " + id + ":VERSION");
      return Remove<Empty>(client, *client.launch_templates,
                           &v1::LaunchTemplateService::Stub::DeleteLaunchTemplateVersion,
                           v1::DeleteLaunchTemplateVersionRequest(), kind, id);
    case KindId::kHost:
      return Remove<Empty>(client, *client.cluster, &v1::ClusterService::Stub::DeleteHost,
                           v1::DeleteHostRequest(), kind, id);
    case KindId::kImage:
      return Remove<Empty>(client, *client.images, &v1::ImageService::Stub::DeleteImage,
                           v1::DeleteImageRequest(), kind, id);
    case KindId::kCertificate:
      return Remove<Empty>(client, *client.certificates,
                           &v1::CertificateService::Stub::DeleteCertificate,
                           v1::DeleteCertificateRequest(), kind, id);
    case KindId::kSecret:
      return Remove<Empty>(client, *client.secrets, &v1::SecretService::Stub::DeleteSecret,
                           v1::DeleteSecretRequest(), kind, id);
    case KindId::kLoadBalancer:
      return Remove<Empty>(client, *client.load_balancers,
                           &v1::LoadBalancerService::Stub::DeleteLoadBalancer,
                           v1::DeleteLoadBalancerRequest(), kind, id);
    case KindId::kListener:
      return Remove<Empty>(client, *client.listeners, &v1::ListenerService::Stub::DeleteListener,
                           v1::DeleteListenerRequest(), kind, id);
    case KindId::kRule:
      return Remove<Empty>(client, *client.listeners, &v1::ListenerService::Stub::DeleteRule,
                           v1::DeleteRuleRequest(), kind, id);
    case KindId::kProxy:
      return Remove<Empty>(client, *client.cluster, &v1::ClusterService::Stub::DeleteProxy,
                           v1::DeleteProxyRequest(), kind, id);
    case KindId::kSecurityGroup:
      return Remove<Empty>(client, *client.security_groups,
                           &v1::SecurityGroupService::Stub::DeleteSecurityGroup,
                           v1::DeleteSecurityGroupRequest(), kind, id);
    case KindId::kTargetGroup:
      return Remove<Empty>(client, *client.target_groups,
                           &v1::TargetGroupService::Stub::DeleteTargetGroup,
                           v1::DeleteTargetGroupRequest(), kind, id);
    case KindId::kInstance:
      return absl::InvalidArgumentError("an instance is ended with `remuda instance terminate " +
                                        id + "`");
    case KindId::kActivity:
    case KindId::kController:
    case KindId::kDeployment:
    case KindId::kTarget:
      break;
  }
  return Unsupported(kind, "deleted");
}

}  // namespace remuda::cli
