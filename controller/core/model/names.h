// Names of resources: `collection/id`, and the ids that references hold. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "controller/core/model/state.h"

namespace remuda::core {

// First part of a resource's full name.
inline constexpr std::string_view kImages = "images";
inline constexpr std::string_view kLaunchTemplates = "launchTemplates";
inline constexpr std::string_view kTargetGroups = "targetGroups";
inline constexpr std::string_view kLoadBalancers = "loadBalancers";
inline constexpr std::string_view kListeners = "listeners";  // of a load balancer
inline constexpr std::string_view kRules = "rules";          // of a listener
inline constexpr std::string_view kCertificates = "certificates";
inline constexpr std::string_view kSecurityGroups = "securityGroups";
inline constexpr std::string_view kAutoScalingGroups = "autoScalingGroups";
inline constexpr std::string_view kInstances = "instances";
inline constexpr std::string_view kDeployments = "deployments";
inline constexpr std::string_view kHosts = "hosts";
inline constexpr std::string_view kProxies = "proxies";
inline constexpr std::string_view kActivities = "activities";
inline constexpr std::string_view kUsers = "users";
inline constexpr std::string_view kJoinTokens = "joinTokens";
inline constexpr std::string_view kRevocations = "revocations";

// "targetGroups" + "blue" -> "targetGroups/blue".
std::string FullName(std::string_view collection, std::string_view id);

// Whether `id` is [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?.
bool IsValidId(std::string_view id);

// The id in `name`, which is an id alone or a full name of `collection`; nullopt if it is neither
// or not a valid id (deployments' ids may be longer than others').
std::optional<std::string> IdIn(std::string_view collection, std::string_view name);

// "shop", 3 -> "launchTemplates/shop/versions/3".
std::string VersionName(std::string_view launch_template, int version);

// The parts of a version's full name, which may have a word in the number's place (`$Latest`).
struct VersionNameParts {
  std::string launch_template;
  std::string version;
};
// Nullopt if it is no such name, or the template's id is not valid; the version is as it stands.
std::optional<VersionNameParts> VersionIn(std::string_view name);
// "launchTemplates/shop/versions/3" -> "launchTemplates/shop"; another name as it is.
std::string WithoutVersion(std::string_view name);

// Last part of a full name.
std::string_view IdOf(std::string_view full_name);

}  // namespace remuda::core
