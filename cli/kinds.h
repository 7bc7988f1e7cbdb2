// The kinds of resources and their many names: `asg`, `AutoScalingGroup`, `autoScalingGroups`,
// `asg/blue`. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

namespace remuda::cli {

enum class KindId {
  kActivity,
  kAutoScalingGroup,
  kCertificate,
  kController,
  kDeployment,
  kHost,
  kImage,
  kInstance,
  kLaunchTemplate,
  kLaunchTemplateVersion,
  kListener,
  kLoadBalancer,
  kProxy,
  kRule,
  kSecret,
  kSecurityGroup,
  kTarget,
  kTargetGroup,
};

struct Kind {
  KindId id;
  std::string name;        // AutoScalingGroup, as a manifest says
  std::string collection;  // autoScalingGroups
  std::string short_name;  // asg
  std::vector<std::string> aliases;
};

const std::vector<Kind>& AllKinds();
const Kind& KindOf(KindId id);

// Case, `-` and `_` do not matter. INVALID_ARGUMENT names the kinds there are, and the nearest.
absl::StatusOr<const Kind*> ParseKind(std::string_view word);

// One resource as the command line names it.
struct ResourceRef {
  const Kind* kind = nullptr;
  std::string id;  // without the collection; of a launch template's version `shop:2`
};

// `asg/blue`, or `asg` and `blue` apart (then `name` is not empty). A full name as `name` is fine
// too.
absl::StatusOr<ResourceRef> ParseRef(std::string_view word, std::string_view name = "");
// Of this kind: `blue`, `asg/blue` and `autoScalingGroups/blue` are the same. INVALID_ARGUMENT if
// it is another kind.
absl::StatusOr<std::string> ParseIdOf(KindId kind, std::string_view word);

// `autoScalingGroups/blue`; of a version, `launchTemplates/shop/versions/2`.
std::string FullName(KindId kind, std::string_view id);
// `autoScalingGroups/blue` → `blue`; `targetGroups/blue/targets/i-1` → `i-1`;
// `launchTemplates/shop/versions/2` → `shop:2`. An id is answered as it is.
std::string ShortId(std::string_view name);

// `shop:2` → shop, 2. The version is a number, `$Latest` or `$Default` (`latest` and `default` will
// do: a shell takes `$` for itself); empty without one.
struct TemplateRef {
  std::string id;
  std::string version;
};
absl::StatusOr<TemplateRef> ParseTemplateRef(std::string_view word);

}  // namespace remuda::cli
