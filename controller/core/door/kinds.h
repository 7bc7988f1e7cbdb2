// What is constant about each kind of resource: its collection, its field in requests, its quota.
// Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"
#include "controller/core/model/state.h"

namespace remuda::core {

// What is constant about a kind of resource. `kField` is the field that requests hold it in.
template <class T>
struct Traits;
template <>
struct Traits<v1::Image> {
  static constexpr std::string_view kCollection = kImages;
  static constexpr std::string_view kField = "image";
  static constexpr size_t kQuota = limits::kImages;
};
template <>
struct Traits<v1::LaunchTemplate> {
  static constexpr std::string_view kCollection = kLaunchTemplates;
  static constexpr size_t kQuota = limits::kLaunchTemplates;
};
template <>
struct Traits<v1::LaunchTemplateVersion> {
  static constexpr std::string_view kCollection =
      kLaunchTemplates;  // a manifest names the template
  static constexpr std::string_view kField = "launch_template";
  static constexpr size_t kQuota = limits::kLaunchTemplateVersions;
};
template <>
struct Traits<v1::TargetGroup> {
  static constexpr std::string_view kCollection = kTargetGroups;
  static constexpr std::string_view kField = "target_group";
  static constexpr size_t kQuota = limits::kTargetGroups;
};
template <>
struct Traits<v1::LoadBalancer> {
  static constexpr std::string_view kCollection = kLoadBalancers;
  static constexpr std::string_view kField = "load_balancer";
  static constexpr size_t kQuota = limits::kLoadBalancers;
};
template <>
struct Traits<v1::Certificate> {
  static constexpr std::string_view kCollection = kCertificates;
  static constexpr std::string_view kField = "certificate";
  static constexpr size_t kQuota = limits::kCertificates;
};
template <>
struct Traits<v1::SecurityGroup> {
  static constexpr std::string_view kCollection = kSecurityGroups;
  static constexpr std::string_view kField = "security_group";
  static constexpr size_t kQuota = limits::kSecurityGroups;
};
template <>
struct Traits<v1::AutoScalingGroup> {
  static constexpr std::string_view kCollection = kAutoScalingGroups;
  static constexpr std::string_view kField = "auto_scaling_group";
  static constexpr size_t kQuota = limits::kAutoScalingGroups;
};
template <>
struct Traits<v1::Instance> {
  static constexpr std::string_view kCollection = kInstances;
};
template <>
struct Traits<v1::Deployment> {
  static constexpr std::string_view kCollection = kDeployments;
};
template <>
struct Traits<v1::Host> {
  static constexpr std::string_view kCollection = kHosts;
};
template <>
struct Traits<v1::Proxy> {
  static constexpr std::string_view kCollection = kProxies;
};
template <>
struct Traits<v1::User> {
  static constexpr std::string_view kCollection = kUsers;
  static constexpr std::string_view kField = "user";
  static constexpr size_t kQuota = limits::kUsers;
};
template <>
struct Traits<v1::JoinToken> {
  static constexpr std::string_view kCollection = kJoinTokens;
  static constexpr std::string_view kField = "join_token";
  static constexpr size_t kQuota = limits::kJoinTokens;
};
template <>
struct Traits<v1::Revocation> {
  static constexpr std::string_view kCollection = kRevocations;
  static constexpr std::string_view kField = "revocation";
  static constexpr size_t kQuota = limits::kRevocations;
};

template <class T>
std::string NameOf(std::string_view id) {
  return FullName(Traits<T>::kCollection, id);
}

}  // namespace remuda::core
